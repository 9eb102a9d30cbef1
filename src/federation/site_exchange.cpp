#include "concordat/federation/site_exchange.hpp"

#include <algorithm>
#include <functional>

#include "concordat/crypto/hash.hpp"
#include "federation/checks.hpp"

namespace concordat::federation {

using border::MessageType;

std::string_view name_of(SitePhase phase) {
  switch (phase) {
    case SitePhase::idle:
      return "idle";
    case SitePhase::ready:
      return "ready";
    case SitePhase::missed:
      return "missed";
    case SitePhase::cosigned:
      return "cosigned";
    case SitePhase::going:
      return "going";
    case SitePhase::committed:
      return "committed";
    case SitePhase::agreed:
      return "agreed";
    case SitePhase::fetching:
      return "fetching";
    case SitePhase::received:
      return "received";
    case SitePhase::closed:
      return "closed";
    case SitePhase::finished:
      return "finished";
  }
  return "unknown";
}

SiteExchange::SiteExchange(ExchangeTerms terms, SiteId own, Signer signer)
    : terms_(std::move(terms)), own_(own), signer_(std::move(signer)) {
  CONCORDAT_REQUIRE(own_.value() < terms_.num_sites(), std::to_string(own_.value()));
}

// Each on() checks everything before it changes anything, so a throw leaves the machine as it was.
Effects SiteExchange::handle(const Event& event) {
  return std::visit([this](const auto& one) { return on(one); }, event);
}

const Manifest& SiteExchange::manifest() const {
  CONCORDAT_REQUIRE(!manifest_digest_.is_zero(), std::string(name_of(phase_)));
  return manifest_;
}

bool SiteExchange::missed() const { return !manifest_digest_.is_zero() && !names(manifest_, own_); }

Chain SiteExchange::chain() const {
  CONCORDAT_REQUIRE(phase_ == SitePhase::closed, std::string(name_of(phase_)));
  return chain_after(terms_, manifest_, closing_digest_);
}

Send SiteExchange::send(MessageType type, Bytes body) const {
  border::Header header{terms_.federation,
                        terms_.exchange,
                        names_agreement(type) ? terms_.agreement : manifest_digest_,
                        own_,
                        coordinator_id,
                        type,
                        0};
  return {header, std::move(body)};
}

bool SiteExchange::repeats(MessageType type, ByteView body) const {
  auto before = accepted_.find(type);
  if (before == accepted_.end()) return false;
  Digest digest = crypto::sha256(body);
  if (before->second == digest) return true;
  refuse(errors::equivocation, terms_,
         type == MessageType::manifest
             ? "the coordinator sent a second manifest for a locked exchange"
             : "the coordinator sent a second, different " + std::string(name_of(type)),
         digest.hex(), before->second.hex());
}

Effects SiteExchange::on(const Start& event) {
  if (phase_ != SitePhase::idle) {
    if (event.ready == own_ready_) return {};
    refuse(errors::equivocation, terms_, "this site has said another ready for this exchange",
           event.ready.state.hex(), own_ready_.state.hex());
  }
  CONCORDAT_REQUIRE(event.ready.round == terms_.exchange.round,
                    std::to_string(event.ready.round.value()));
  if (terms_.exchange.round == Round{0} && event.ready.state != terms_.initial_state) {
    refuse(errors::state_differs, terms_, "the model of this site is not that of the agreement",
           event.ready.state.hex(), terms_.initial_state.hex());
  }
  own_ready_ = event.ready;
  phase_ = SitePhase::ready;
  return {send(MessageType::ready, encode(event.ready))};
}

Effects SiteExchange::on(const Incoming& event) {
  const border::Header& header = event.header;
  if (header.sender != coordinator_id) {
    refuse(errors::wrong_exchange, terms_, "a message came from " + terms_.text_of(header.sender),
           std::string(name_of(header.type)), "messages of the coordinator");
  }
  // Nothing but the manifest can come before the manifest. A site that has said nothing yet hears
  // from it only that the round went on without this site.
  const bool may_come = header.type == MessageType::manifest ||
                        (phase_ != SitePhase::idle && phase_ != SitePhase::ready);
  if (!may_come || terms_.final) {
    out_of_turn(terms_, name_of(header.type), name_of(phase_));
  }
  check_header(terms_, header, own_, manifest_digest_);
  if (repeats(header.type, event.body)) return {};
  switch (header.type) {
    case MessageType::manifest:
      return on_manifest(event.body);
    case MessageType::go:
      return on_go(event.body);
    case MessageType::survivors:
      return on_survivors(event.body);
    case MessageType::aggregate:
      return on_aggregate(event.body);
    case MessageType::closed:
      return on_closed(event.body);
    default:
      out_of_turn(terms_, name_of(header.type), name_of(phase_));
  }
}

namespace {

/// What a manifest has to hold to, one call for each demand.
auto demands_of(const ExchangeTerms& terms) {
  return [&terms](bool good, const char* what, std::string found, std::string expected) {
    if (good) return;
    refuse(errors::manifest_refused, terms, what, std::move(found), std::move(expected));
  };
}

}  // namespace

void SiteExchange::check_manifest(const Manifest& manifest) const {
  const auto demand = demands_of(terms_);
  auto same = [&](const Digest& found, const Digest& expected, const char* what) {
    demand(found == expected, what, found.hex(), expected.hex());
  };
  same(manifest.federation, terms_.federation, "the manifest names another federation");
  same(manifest.roster, terms_.roster, "the manifest names another roster");
  same(manifest.agreement, terms_.agreement, "the manifest names another agreement");
  same(manifest.previous_closing, terms_.previous.closing,
       "the manifest does not follow the last closing record");
  demand(manifest.exchange == terms_.exchange, "the manifest is of another exchange",
         manifest.exchange.text(), terms_.exchange.text());

  check_participants(manifest);
  check_equal_states(terms_, manifest.participants, errors::state_differs);
  same(manifest.state, manifest.participants.front().ready.state,
       "the manifest states another model than its sites");
  if (phase_ != SitePhase::idle) {
    same(manifest.state, own_ready_.state, "the manifest states another model");
  }
  for (const Participant& one : manifest.participants) {
    demand(one.ready.round == terms_.exchange.round, "a ready in the manifest is of another round",
           std::to_string(one.ready.round.value()), std::to_string(terms_.exchange.round.value()));
    check_ledger(terms_, one.site, one.ready);
  }
  check_fresh_keys(terms_, manifest.participants, errors::manifest_refused);
}

void SiteExchange::check_participants(const Manifest& manifest) const {
  const auto demand = demands_of(terms_);
  const std::vector<SiteId> sites = manifest.sites();
  const bool ascending =
      std::adjacent_find(sites.begin(), sites.end(), std::greater_equal<>()) == sites.end();
  demand(ascending && (sites.empty() || sites.back().value() < terms_.num_sites()),
         "the manifest does not name sites of the roster, each once and ascending",
         ledger::parties(sites), "of " + std::to_string(terms_.num_sites()) + " sites");
  const std::uint32_t least = least_participants(terms_);
  demand(sites.size() >= least, "the manifest has too few participants",
         std::to_string(sites.size()), "at least " + std::to_string(least));
  const std::uint32_t right = threshold(static_cast<std::uint32_t>(sites.size()), terms_.colluding);
  demand(manifest.threshold == right, "the manifest has another threshold",
         std::to_string(manifest.threshold), std::to_string(right));
  const auto own = std::find_if(manifest.participants.begin(), manifest.participants.end(),
                                [&](const Participant& one) { return one.site == own_; });
  if (own == manifest.participants.end()) return;
  demand(phase_ != SitePhase::idle, "the manifest names this site, which has said no ready",
         terms_.text_of(own_), "only sites that are ready");
  demand(own->ready == own_ready_, "the manifest alters this site's own ready",
         "mask key " + own->ready.mask.hex(),
         "mask key " + own_ready_.mask.hex() + " and the rest as sent");
}

Effects SiteExchange::on_manifest(ByteView body) {
  if (phase_ != SitePhase::ready && phase_ != SitePhase::idle)
    out_of_turn(terms_, "manifest", name_of(phase_));
  Manifest manifest = parse_manifest(body, "manifest of " + terms_.exchange.text());
  check_manifest(manifest);
  manifest_ = std::move(manifest);
  manifest_digest_ = crypto::sha256(body);
  accepted_[MessageType::manifest] = manifest_digest_;
  if (missed()) {
    phase_ = SitePhase::missed;
    return {};
  }
  phase_ = SitePhase::cosigned;
  CosignBody cosign;
  cosign.signature =
      signer_(cosign_statement(terms_.federation, terms_.exchange, manifest_digest_));
  return {send(MessageType::cosign, encode(cosign))};
}

Effects SiteExchange::on_go(ByteView body) {
  if (phase_ != SitePhase::cosigned && phase_ != SitePhase::missed) {
    out_of_turn(terms_, "go", name_of(phase_));
  }
  GoBody go = decode_go(body);
  check_all_signed(terms_, manifest_.sites(), go.cosignatures,
                   cosign_statement(terms_.federation, terms_.exchange, manifest_digest_),
                   "manifest", errors::statement_refused);
  accepted_[MessageType::go] = crypto::sha256(body);
  if (missed()) return {};
  phase_ = SitePhase::going;
  return {ReleaseSecrets{manifest_digest_}};
}

Effects SiteExchange::on(const Committed& event) {
  if (phase_ > SitePhase::going) {
    if (event.table == upload_.table) return {};
    refuse(errors::equivocation, terms_, "this site's commit was changed after its header",
           event.table.root.hex(), upload_.table.root.hex());
  }
  if (phase_ != SitePhase::going) out_of_turn(terms_, "the commit", name_of(phase_));
  check_table(terms_, own_, event.table);
  upload_.table = event.table;
  phase_ = SitePhase::committed;
  return {send(MessageType::header, encode(upload_))};
}

Effects SiteExchange::on_survivors(ByteView body) {
  const bool in_turn =
      missed() ? accepted_.contains(MessageType::go) : phase_ == SitePhase::committed;
  if (!in_turn) out_of_turn(terms_, "survivors", name_of(phase_));
  SurvivorsBody survivors = decode_survivors(body);
  std::vector<SiteId> sites;
  for (const Survivor& one : survivors.survivors) sites.push_back(one.site);
  if (sites != manifest_.sites()) {
    refuse(errors::survivors_refused, terms_, "the survivors are not all participants",
           ledger::parties(sites), ledger::parties(manifest_.sites()));
  }
  Digest own = header_digest(terms_.federation, terms_.exchange, manifest_digest_, own_, upload_);
  for (const Survivor& entry : survivors.survivors) {
    if (entry.site != own_ || entry.header == own) continue;
    refuse(errors::survivors_refused, terms_, "the survivors misstate this site's header",
           entry.header.hex(), own.hex());
  }
  survivors_ = std::move(survivors);
  accepted_[MessageType::survivors] = crypto::sha256(body);
  if (missed()) return {};
  phase_ = SitePhase::agreed;
  AgreeBody agree{
      signer_(agree_statement(terms_.federation, terms_.exchange, manifest_digest_, survivors_))};
  return {send(MessageType::agree, encode(agree))};
}

Effects SiteExchange::on_aggregate(ByteView body) {
  const bool in_turn =
      missed() ? accepted_.contains(MessageType::survivors) : phase_ == SitePhase::agreed;
  if (!in_turn) out_of_turn(terms_, "aggregate", name_of(phase_));
  TableBody aggregate = decode_table(body);
  check_table(terms_, coordinator_id, aggregate.table);
  aggregate_ = std::move(aggregate);
  accepted_[MessageType::aggregate] = crypto::sha256(body);
  phase_ = SitePhase::fetching;
  return {FetchAggregate{aggregate_.table}};
}

Effects SiteExchange::on(const AggregateStored& event) {
  if (phase_ > SitePhase::fetching && event.root == aggregate_.table.root &&
      event.total_weight == total_weight_) {
    return {};
  }
  if (phase_ != SitePhase::fetching) out_of_turn(terms_, "a stored aggregate", name_of(phase_));
  if (event.root != aggregate_.table.root) {
    refuse(errors::aggregate_differs, terms_, "the aggregate is not the one that was announced",
           event.root.hex(), aggregate_.table.root.hex());
  }
  check_weight(terms_, manifest_.participants.size(), event.total_weight);
  total_weight_ = event.total_weight;
  phase_ = SitePhase::received;
  // Only those who uploaded sign for the sum.
  if (missed()) return {};
  ReceivedBody received{event.root, total_weight_, {}};
  received.signature =
      signer_(received_statement(terms_.federation, terms_.exchange, manifest_digest_,
                                 accepted_.at(MessageType::survivors), event.root, total_weight_));
  return {send(MessageType::received, encode(received))};
}

// Only what a site missed may be gone: whoever uploaded signs for the sum before it is closed.
Effects SiteExchange::on(const Forgone&) {
  if (forgone_) return {};
  if (!missed() || phase_ != SitePhase::fetching) {
    out_of_turn(terms_, "going on without an aggregate", name_of(phase_));
  }
  forgone_ = true;
  phase_ = SitePhase::received;
  return {};
}

Effects SiteExchange::on_closed(ByteView body) {
  if (phase_ != SitePhase::received) out_of_turn(terms_, "closed", name_of(phase_));
  ClosedBody closed = decode_closed(body);
  auto same = [&](const Digest& found, const Digest& expected, const ErrorCode& code,
                  const char* what) {
    if (found != expected) refuse(code, terms_, what, found.hex(), expected.hex());
  };
  same(closed.manifest, manifest_digest_, errors::closing_refused,
       "the closing record names another manifest");
  same(closed.root, aggregate_.table.root, errors::aggregate_differs,
       "the closing record names another aggregate");
  if (forgone_) {
    // No sum is here to hold it against: it is what every participant signed for.
    check_weight(terms_, manifest_.participants.size(), closed.total_weight);
  } else if (closed.total_weight != total_weight_) {
    refuse(errors::closing_refused, terms_, "the closing record has another summed weight",
           std::to_string(closed.total_weight), std::to_string(total_weight_));
  }
  check_all_signed(
      terms_, manifest_.sites(), closed.received,
      received_statement(terms_.federation, terms_.exchange, manifest_digest_,
                         accepted_.at(MessageType::survivors), closed.root, closed.total_weight),
      "aggregate", errors::closing_refused);
  total_weight_ = closed.total_weight;
  closing_ = std::move(closed);
  closing_digest_ = crypto::sha256(body);
  accepted_[MessageType::closed] = closing_digest_;
  phase_ = SitePhase::closed;
  return {Close{closing_, closing_digest_}};
}

Effects SiteExchange::on(const FinalReadyAcknowledged&) {
  if (phase_ == SitePhase::finished) return {};
  if (!terms_.final || phase_ != SitePhase::ready) {
    out_of_turn(terms_, "an acknowledged final ready", name_of(phase_));
  }
  phase_ = SitePhase::finished;
  return {Finish{own_ready_.state}};
}

Effects SiteExchange::on(const Deadline&) {
  CONCORDAT_REQUIRE(false, "Deadline is an event of the coordinator");
  return {};
}

Effects SiteExchange::on(const UploadStored&) {
  CONCORDAT_REQUIRE(false, "UploadStored is an event of the coordinator");
  return {};
}

Effects SiteExchange::on(const Summed&) {
  CONCORDAT_REQUIRE(false, "Summed is an event of the coordinator");
  return {};
}

Bytes SiteExchange::snapshot() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(phase_));
  out.sized(encode(own_ready_));
  out.u32(static_cast<std::uint32_t>(accepted_.size()));
  for (const auto& [type, digest] : accepted_) {
    out.u16(static_cast<std::uint16_t>(type));
    out.digest(digest);
  }
  out.digest(manifest_digest_);
  out.sized(encode(manifest_));
  out.sized(encode(upload_));
  out.sized(encode(survivors_));
  out.sized(encode(aggregate_));
  out.u64(total_weight_);
  out.u8(forgone_ ? 1 : 0);
  out.sized(encode(closing_));
  out.digest(closing_digest_);
  return std::move(out).bytes();
}

}  // namespace concordat::federation
