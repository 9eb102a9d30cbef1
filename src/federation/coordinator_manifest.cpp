// Who takes part: from the first ready to the manifest.
#include <algorithm>

#include "concordat/crypto/hash.hpp"
#include "concordat/federation/coordinator_exchange.hpp"
#include "federation/checks.hpp"

namespace concordat::federation {

using border::MessageType;

// Before the manifest everybody, after it its participants.
std::vector<SiteId> CoordinatorExchange::in_question() const {
  if (!manifest_digest_.is_zero()) return manifest_.sites();
  std::vector<SiteId> everybody;
  for (std::uint32_t i = 0; i < terms_.num_sites(); ++i) everybody.push_back(SiteId(i));
  return everybody;
}

std::vector<SiteId> CoordinatorExchange::missed() const {
  std::vector<SiteId> sites;
  if (manifest_digest_.is_zero()) return sites;
  for (std::uint32_t i = 0; i < terms_.num_sites(); ++i) {
    if (!names(manifest_, SiteId(i))) sites.push_back(SiteId(i));
  }
  return sites;
}

// Ascending.
std::vector<Participant> CoordinatorExchange::ready_sites() const {
  std::vector<Participant> ready;
  for (std::uint32_t i = 0; i < terms_.num_sites(); ++i) {
    if (sites_[i].ready) ready.push_back({SiteId(i), *sites_[i].ready});
  }
  return ready;
}

bool CoordinatorExchange::may_go_on() const {
  // The run is not over before every site has proved the final state.
  if (phase_ != CoordinatorPhase::gathering || terms_.final) return false;
  const std::size_t ready = ready_sites().size();
  return ready >= least_participants(terms_) && ready < terms_.num_sites();
}

Effects CoordinatorExchange::on_ready(SiteId site, ByteView body) {
  ReadyBody ready = decode_ready(body);
  SiteState& state = sites_[site.value()];
  if (repeats(terms_, site, state.ready, ready, "ready")) return {};
  if (ready.round != terms_.exchange.round) {
    refuse(errors::wrong_exchange, terms_, "the ready of " + terms_.text_of(site) + " lies",
           "round " + std::to_string(ready.round.value()),
           "round " + std::to_string(terms_.exchange.round.value()));
  }
  if (phase_ != CoordinatorPhase::gathering) {
    refuse(errors::too_late, terms_,
           "the round began without " + terms_.text_of(site) + ", whose ready comes too late",
           "phase " + std::string(name_of(phase_)), "a ready before the manifest");
  }
  std::vector<Participant> accepted = ready_sites();
  // First what is wrong with this ready alone, so that a liar cannot reach the check of all.
  check_ledger(terms_, site, ready);
  check_states(site, ready, accepted);
  // The newest comes last: accepted keys are good, so it is the one that is named.
  accepted.push_back({site, ready});
  check_fresh_keys(terms_, accepted, errors::fresh_key_refused);
  state.ready = ready;
  if (!waiting_for().empty()) return {};
  return make_manifest();
}

Effects CoordinatorExchange::on(const Deadline&) {
  if (!may_go_on()) return {};
  check_equal_states(terms_, ready_sites(), errors::accepted_states_differ);
  return make_manifest();
}

// Of the sites that are ready, whose states are equal.
Effects CoordinatorExchange::make_manifest() {
  Manifest manifest;
  manifest.federation = terms_.federation;
  manifest.exchange = terms_.exchange;
  manifest.roster = terms_.roster;
  manifest.agreement = terms_.agreement;
  manifest.previous_closing = terms_.previous.closing;
  manifest.participants = ready_sites();
  manifest.state = manifest.participants.front().ready.state;
  manifest.threshold =
      threshold(static_cast<std::uint32_t>(manifest.participants.size()), terms_.colluding);
  if (terms_.final) {
    phase_ = CoordinatorPhase::finished;
    return {Finish{manifest.state}};
  }
  Bytes document = encode(manifest);
  manifest_ = std::move(manifest);
  manifest_digest_ = crypto::sha256(document);
  phase_ = CoordinatorPhase::cosigning;
  return broadcast(MessageType::manifest, document);
}

// Who differs can be named once everybody has spoken; round 0 is held to the agreement at once. A
// ready that differs from all accepted ones is refused, and its site may come again. Accepted ones
// cannot be taken back: if they differ among themselves, no ready can mend the round.
void CoordinatorExchange::check_states(SiteId newest, const ReadyBody& ready,
                                       const std::vector<Participant>& accepted) const {
  if (terms_.exchange.round == Round{0}) {
    check_equal_states(terms_, {{newest, ready}}, errors::state_differs);
    return;
  }
  std::vector<Participant> all = accepted;
  all.push_back({newest, ready});
  if (all.size() < terms_.num_sites()) return;
  std::sort(all.begin(), all.end(),
            [](const Participant& a, const Participant& b) { return a.site < b.site; });
  const bool accepted_agree = std::all_of(
      accepted.begin(), accepted.end(),
      [&](const Participant& one) { return one.ready.state == accepted.front().ready.state; });
  check_equal_states(terms_, all,
                     accepted_agree ? errors::state_differs : errors::accepted_states_differ);
}

}  // namespace concordat::federation
