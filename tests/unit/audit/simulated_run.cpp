#include "simulated_run.hpp"

#include <utility>

#include "concordat/crypto/hash.hpp"
#include "concordat/federation/terms.hpp"

namespace concordat::audit::testing {

using ledger::CrossingKind;
using ledger::Direction;
using ledger::Entry;

namespace {

std::string name_of(SiteId id) {
  constexpr const char* names[] = {"alba", "brio", "cala", "dora"};
  return id == coordinator_id ? "hub" : names[id.value()];
}

}  // namespace

Digest digest_of(const std::string& text) { return crypto::sha256(as_bytes(text)); }

SimulatedRun::SimulatedRun(std::filesystem::path folder, Lie lie, std::uint32_t site_count)
    : folder_(std::move(folder)), lie_(std::move(lie)) {
  std::filesystem::remove_all(folder_);
  std::uint8_t seed = 1;
  for (std::uint32_t i = 0; i < site_count; ++i) sites_.push_back(SiteId{i});
  const auto add = [&](SiteId id) {
    parties_.emplace(id, std::make_unique<Party>(id, files_, folder_, seed++, clock_));
  };
  add(coordinator_id);
  for (const SiteId site : sites_) add(site);
}

SimulatedRun::Party::Party(SiteId id, FileSystem& fs, const std::filesystem::path& folder,
                           std::uint8_t seed, Clock& clock)
    : name(name_of(id)),
      key(crypto::SigningKey::from_seed(Bytes(32, seed))),
      signing(crypto::SigningKey::from_seed(Bytes(32, static_cast<std::uint8_t>(seed + 100)))),
      ledger(ledger::Ledger::open(fs, folder / name, ledger::log_origin(name, key.verify_key()),
                                  key, clock)) {}

SimulatedRun::~SimulatedRun() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void SimulatedRun::append(SiteId party, Entry entry) {
  if (lie_ && !lie_(party, entry)) return;
  parties_.at(party)->ledger.append(entry);
}

void SimulatedRun::agree() {
  for (const auto& [id, party] : parties_) {
    append(id, ledger::agreement_entry({.federation = digest_of("roster"),
                                        .roster = digest_of("roster"),
                                        .agreement = digest_of(agreement_),
                                        .initial_state = digest_of("state 0"),
                                        .self = ledger::party(id),
                                        .name = party->name}));
  }
}

void SimulatedRun::cross(CrossingKind kind, SiteId from, SiteId to, const ledger::Fields& facts) {
  const ExchangeId exchange{Round{round_}, {}, {}};
  const bool no_manifest = kind == CrossingKind::ready || kind == CrossingKind::manifest;
  const Digest manifest = digest_of(no_manifest ? agreement_ : "manifest " + scope());
  const bool frames = kind == CrossingKind::header || kind == CrossingKind::aggregate;
  const std::string id = ledger::decision_id(kind, exchange, to);
  append(from, ledger::decision_entry({.kind = kind,
                                       .exchange = exchange,
                                       .manifest = manifest,
                                       .recipient = to,
                                       .max_bytes = frames ? 20'000U : 1'000U,
                                       .id = id,
                                       .permitted = true,
                                       .rule = "entailed",
                                       .reason = "simulated"}));
  ledger::Crossing crossing{.kind = kind,
                            .direction = Direction::out,
                            .exchange = exchange,
                            .manifest = manifest,
                            .from = from,
                            .to = to,
                            .index = 0,
                            .digest = digest_of(id + ledger::party(from)),
                            .message_bytes = 300,
                            .frame_bytes = frames ? 16'000U : 0U,
                            .decision = id,
                            .facts = facts};
  append(from, ledger::crossing_entry(crossing));
  crossing.direction = Direction::in;
  crossing.decision.clear();
  append(to, ledger::crossing_entry(crossing));
}

void SimulatedRun::give_state(std::uint32_t round, SiteId from, SiteId to) {
  const std::uint32_t now = std::exchange(round_, round);
  const ExchangeId exchange{Round{round_}, {}, {}};
  cross(CrossingKind::state_blocks, from, to, ledger::state_facts(digest_of("state " + scope())));
  append(coordinator_id,
         ledger::passed_on_entry(
             {.kind = CrossingKind::state_blocks,
              .exchange = exchange,
              .from = from,
              .to = to,
              .index = 0,
              .digest = digest_of(ledger::decision_id(CrossingKind::state_blocks, exchange, to) +
                                  ledger::party(from)),
              .message_bytes = 300}));
  round_ = now;
}

void SimulatedRun::forgo(SiteId party, std::uint32_t round, SiteId site) {
  const std::uint32_t now = std::exchange(round_, round);
  append(party, ledger::forgone_entry({.exchange = {Round{round}, {}, {}},
                                       .manifest = digest_of("manifest " + scope()),
                                       .site = site,
                                       .root = digest_of("aggregate " + scope())}));
  round_ = now;
}

std::vector<SiteId> SimulatedRun::participants() const {
  std::vector<SiteId> those = sites_;
  if (missing_) std::erase(those, *missing_);
  return those;
}

void SimulatedRun::to_all(CrossingKind kind, const ledger::Fields& facts) {
  for (const SiteId site : participants()) cross(kind, coordinator_id, site, facts);
}

void SimulatedRun::from_all(CrossingKind kind, const std::function<ledger::Fields(SiteId)>& facts) {
  for (const SiteId site : participants()) cross(kind, site, coordinator_id, facts(site));
}

ledger::Fields SimulatedRun::ready_of(SiteId site) {
  heads_[site] = parties_.at(site)->ledger.head();
  return ledger::ready_facts(digest_of("state " + scope()), heads_[site]);
}

void SimulatedRun::play_until(std::uint32_t round, CrossingKind last) {
  round_ = round;
  if (round == 0) agree();
  const std::vector<SiteId> sites = participants();
  for (const SiteId site : sites) {
    append(site, ledger::state_entry(Round{round}, digest_of("state " + scope()), "step-000000"));
    cross(CrossingKind::ready, site, coordinator_id, ready_of(site));
  }
  if (last == CrossingKind::ready) return;
  ledger::ManifestFacts manifest{
      .document = digest_of("manifest " + scope()),
      .roster = digest_of("roster"),
      .agreement = digest_of(agreement_),
      .state = digest_of("state " + scope()),
      .previous_closing = round == 0 ? Digest{} : digest_of("closing " + std::to_string(round - 1)),
      .threshold = 3,
      .participants = sites,
      .heads = {}};
  for (const auto& [site, head] : heads_) {
    if (site != missing_) manifest.heads.push_back({site, head});
  }
  to_all(CrossingKind::manifest, ledger::manifest_facts(manifest));
  if (last == CrossingKind::manifest) return;
  const ExchangeId exchange{Round{round}, {}, {}};
  from_all(CrossingKind::cosign, [&](SiteId site) {
    return ledger::cosign_facts(
        sign(site, federation::cosign_statement(digest_of("roster"), exchange, manifest.document)));
  });
  if (last == CrossingKind::cosign) return;
  to_all(CrossingKind::go, {});
  if (last == CrossingKind::go) return;
  for (const SiteId site : sites) {
    const Digest root = digest_of("upload " + scope() + ledger::party(site));
    const std::string generation = "step-00003" + std::to_string(round);
    append(site, ledger::checkpoint_entry("demo", generation, 30 + round, Round{round},
                                          digest_of("state " + scope()),
                                          digest_of("generation " + std::to_string(round))));
    append(site, ledger::commit_entry({.exchange = {Round{round}, {}, {}},
                                       .manifest = manifest.document,
                                       .root = root,
                                       .num_blocks = 9,
                                       .num_ranks = 2,
                                       .lane_bits = 16,
                                       .try_nonce = "0123456789abcdef",
                                       .generation = generation}));
    cross(CrossingKind::header, site, coordinator_id, ledger::upload_facts(root, 9));
  }
  if (last == CrossingKind::header) return;
  const auto survivors = ledger::survivors_facts(digest_of("survivors " + scope()), sites);
  to_all(CrossingKind::survivors, survivors);
  if (last == CrossingKind::survivors) return;
  from_all(CrossingKind::agree, [&](SiteId) { return survivors; });
  if (last == CrossingKind::agree) return;
  const Digest root = digest_of("aggregate " + scope());
  to_all(CrossingKind::aggregate, ledger::aggregate_facts(root));
  if (last == CrossingKind::aggregate) return;
  from_all(CrossingKind::received, [&](SiteId site) {
    const Bytes statement =
        federation::received_statement(digest_of("roster"), exchange, manifest.document,
                                       digest_of("survivors " + scope()), root, 90'000);
    return ledger::received_facts(root, 90'000, sign(site, statement));
  });
  if (last == CrossingKind::received) return;
  const auto closed = ledger::closed_facts(digest_of("closing " + scope()), root, 90'000, sites);
  to_all(CrossingKind::closed, closed);
  if (!missing_) return;
  // Now it is owed the record.
  cross(CrossingKind::manifest, coordinator_id, *missing_, ledger::manifest_facts(manifest));
  cross(CrossingKind::go, coordinator_id, *missing_, {});
  cross(CrossingKind::survivors, coordinator_id, *missing_, survivors);
  cross(CrossingKind::aggregate, coordinator_id, *missing_, ledger::aggregate_facts(root));
  cross(CrossingKind::closed, coordinator_id, *missing_, closed);
}

void SimulatedRun::say_late_ready(std::uint32_t round, SiteId site) {
  round_ = round;
  append(site, ledger::state_entry(Round{round}, digest_of("state " + scope()), "step-000000"));
  cross(CrossingKind::ready, site, coordinator_id, ready_of(site));
}

void SimulatedRun::play(std::uint32_t rounds) {
  for (std::uint32_t round = 0; round < rounds; ++round) play_until(round, CrossingKind::closed);
  play_until(rounds, CrossingKind::ready);
  sign_all();
}

void SimulatedRun::sign_all() {
  for (const auto& [id, party] : parties_) party->ledger.checkpoint();
}

AuditInput SimulatedRun::input() const {
  AuditInput input;
  input.minimum = 3;
  input.colluding = 1;
  for (const auto& [id, party] : parties_) {
    input.parties.push_back({id, party->name, folder_ / party->name, party->key.verify_key()});
    input.roster.push_back({id, party->name, party->signing.verify_key()});
  }
  return input;
}

std::filesystem::path SimulatedRun::log_file(SiteId party) const {
  return folder_ / name_of(party) / "log.jsonl";
}

std::filesystem::path SimulatedRun::checkpoint_file(SiteId party) const {
  return folder_ / name_of(party) / "checkpoint";
}

SimulatedRun::Lie leave_out(SiteId liar, std::string key) {
  return [=](SiteId party, ledger::Entry& entry) { return party != liar || entry.key != key; };
}

}  // namespace concordat::audit::testing
