#include "concordat/governance/decide.hpp"

#include <algorithm>
#include <optional>

namespace concordat::governance {
namespace {

using ledger::CrossingKind;
using ledger::party;

/// What this policy knows of a kind of message: who sends it, and when it is entailed.
struct Entailment {
  CrossingKind kind;
  bool from_site;
  Stage from_stage;  // first stage at which it may leave
  bool
      needs_manifest;  // its header carries the digest of the locked manifest, else the agreement's
};

constexpr Entailment entailments[] = {
    {CrossingKind::ready, true, Stage::idle, false},
    {CrossingKind::manifest, false, Stage::manifest_known, false},
    {CrossingKind::cosign, true, Stage::manifest_known, true},
    {CrossingKind::go, false, Stage::all_cosigned, true},
    {CrossingKind::header, true, Stage::committed, true},
    {CrossingKind::survivors, false, Stage::survivors_known, true},
    {CrossingKind::agree, true, Stage::survivors_known, true},
    {CrossingKind::aggregate, false, Stage::aggregate_known, true},
    {CrossingKind::received, true, Stage::aggregate_known, true},
    {CrossingKind::closed, false, Stage::all_received, true},
};

const Entailment* find(CrossingKind kind) {
  const auto* found = std::find_if(std::begin(entailments), std::end(entailments),
                                   [&](const Entailment& e) { return e.kind == kind; });
  return found == std::end(entailments) ? nullptr : found;
}

bool contains(const std::vector<SiteId>& ids, SiteId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

std::uint64_t cap_of(CrossingKind kind, const AgreementCaps& caps) {
  if (kind == CrossingKind::state_blocks) return caps.max_state_bytes;
  if (kind == CrossingKind::header) return caps.max_upload_bytes;
  if (kind == CrossingKind::aggregate) return caps.max_aggregate_bytes;
  return caps.max_message_bytes;
}

/// The coordinator owes the record of a closed exchange to the sites that it went without.
bool is_catching_up(const Request& request, const PolicyContext& context) {
  const ExchangeView& open = context.exchange;
  const bool is_record =
      request.kind == CrossingKind::manifest || request.kind == CrossingKind::go ||
      request.kind == CrossingKind::survivors || request.kind == CrossingKind::aggregate ||
      request.kind == CrossingKind::closed;
  return is_record && context.self == coordinator_id && open.stage >= Stage::all_received &&
         contains(context.sites, request.recipient) &&
         !contains(open.participants, request.recipient);
}

struct Refusal {
  std::string rule;
  std::string reason;
};

bool is_member(SiteId id, const PolicyContext& context) {
  return id == coordinator_id || contains(context.sites, id);
}

std::optional<Refusal> refuse_parties(const Request& request, const Entailment* entailment,
                                      const PolicyContext& context) {
  for (const SiteId id : {context.self, request.recipient}) {
    if (!is_member(id, context)) return Refusal{"not_a_member", party(id) + " is in no roster"};
  }
  if (entailment == nullptr) {
    return Refusal{"not_part_of_recovery_none",
                   "the agreement entails no message '" + name_of(request.kind) + "'"};
  }
  const bool from_site = context.self != coordinator_id;
  if (entailment->from_site != from_site || (request.recipient == coordinator_id) != from_site) {
    return Refusal{"wrong_direction", "'" + name_of(request.kind) + "' does not go from " +
                                          party(context.self) + " to " + party(request.recipient)};
  }
  return std::nullopt;
}

std::optional<Refusal> refuse_exchange(const Request& request, const Entailment& entailment,
                                       const PolicyContext& context) {
  const ExchangeId& id = request.exchange;
  const ExchangeView& open = context.exchange;
  // One `ready` more than there are rounds: it proves the state after the last.
  const std::uint32_t end = context.caps.num_rounds + (request.kind == CrossingKind::ready ? 1 : 0);
  if (id.round.value() >= end || id.fragment.value() != 0 || id.attempt.value() != 0) {
    return Refusal{"wrong_exchange", "exchange " + id.text() + " is none of a run of " +
                                         std::to_string(context.caps.num_rounds) + " rounds"};
  }
  if (id != open.id) {
    return Refusal{"wrong_exchange",
                   "exchange " + id.text() + " is not open here, " + open.id.text() + " is"};
  }
  if (open.stage == Stage::closed) {
    return Refusal{"exchange_closed", "exchange " + id.text() + " is closed"};
  }
  if (open.stage < entailment.from_stage) {
    return Refusal{"too_early", "'" + name_of(request.kind) + "' is entailed from stage " +
                                    std::string(name_of(entailment.from_stage)) +
                                    "; the exchange is at " + std::string(name_of(open.stage))};
  }
  return std::nullopt;
}

std::optional<Refusal> refuse_manifest(const Request& request, const Entailment& entailment,
                                       const PolicyContext& context) {
  const ExchangeView& open = context.exchange;
  const Digest expected = entailment.needs_manifest ? open.manifest : open.agreement;
  if (request.manifest != expected || expected.is_zero()) {
    return Refusal{"wrong_manifest",
                   "manifest " + request.manifest.hex() + " instead of " + expected.hex()};
  }
  if (entailment.from_stage == Stage::idle || is_catching_up(request, context)) {
    return std::nullopt;
  }
  for (const SiteId id : {context.self, request.recipient}) {
    if (id != coordinator_id && !contains(open.participants, id)) {
      return Refusal{"not_a_participant",
                     party(id) + " is not in the manifest of exchange " + open.id.text()};
    }
  }
  return std::nullopt;
}

std::optional<Refusal> refuse_size(const Request& request, const PolicyContext& context) {
  const std::uint64_t cap = cap_of(request.kind, context.caps);
  if (request.bytes <= cap) return std::nullopt;
  return Refusal{"too_large", std::to_string(request.bytes) + " bytes; the agreement entails " +
                                  std::to_string(cap)};
}

/// A donor's state: at the donor its own choice, at the coordinator a message to pass on.
std::optional<Refusal> refuse_state(const Request& request, const PolicyContext& context) {
  const bool at_donor = context.self != coordinator_id;
  for (const SiteId id : {context.self, request.recipient}) {
    if (!is_member(id, context)) return Refusal{"not_a_member", party(id) + " is in no roster"};
  }
  if (request.recipient == coordinator_id || request.recipient == context.self) {
    return Refusal{"wrong_direction", "'" + name_of(request.kind) + "' does not go from " +
                                          party(context.self) + " to " + party(request.recipient)};
  }
  if (at_donor && !contains(context.donation.recipients, request.recipient)) {
    return Refusal{"not_a_recipient", "this site's configuration does not give its state to " +
                                          party(request.recipient)};
  }
  const bool closed = at_donor || request.exchange < context.exchange.id;
  if (!closed || request.exchange != context.donation.exchange) {
    return Refusal{"wrong_exchange",
                   "exchange " + request.exchange.text() + " is not one whose state is given"};
  }
  // Also where it is passed on: a decision is one of all sites, whoever asks for it first.
  if (request.manifest != context.donation.manifest || request.manifest.is_zero()) {
    return Refusal{"wrong_manifest", "manifest " + request.manifest.hex() + " instead of " +
                                         context.donation.manifest.hex()};
  }
  if (state_position(request.index) >= context.caps.max_state_messages) {
    return Refusal{"too_large", "message " + std::to_string(state_position(request.index)) +
                                    " of a state that " +
                                    std::to_string(context.caps.max_state_messages) + " hold"};
  }
  return refuse_size(request, context);
}

std::optional<Refusal> refuse(const Request& request, const PolicyContext& context) {
  if (request.kind == CrossingKind::state_blocks) return refuse_state(request, context);
  const Entailment* entailment = find(request.kind);
  if (auto refusal = refuse_parties(request, entailment, context)) return refusal;
  if (auto refusal = refuse_exchange(request, *entailment, context)) return refusal;
  if (auto refusal = refuse_manifest(request, *entailment, context)) return refusal;
  return refuse_size(request, context);
}

}  // namespace

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::idle:
      return "idle";
    case Stage::manifest_known:
      return "manifest_known";
    case Stage::all_cosigned:
      return "all_cosigned";
    case Stage::committed:
      return "committed";
    case Stage::survivors_known:
      return "survivors_known";
    case Stage::aggregate_known:
      return "aggregate_known";
    case Stage::all_received:
      return "all_received";
    case Stage::closed:
      return "closed";
  }
  throw Bug("unknown stage");
}

ledger::Decision decide(const Request& request, const PolicyContext& context) {
  ledger::Decision decision{
      .kind = request.kind,
      .exchange = request.exchange,
      .manifest = request.manifest,
      .recipient = request.recipient,
      .max_bytes = cap_of(request.kind, context.caps),
      .id = ledger::decision_id(request.kind, request.exchange, request.recipient, request.index),
      .permitted = true,
      .rule = "entailed",
      .reason = "roster, run agreement and manifest entail it"};
  if (is_catching_up(request, context)) {
    decision.rule = "catching_up";
    decision.reason = "the exchange went without this site and is closed";
  }
  if (request.kind == CrossingKind::state_blocks) {
    const bool at_donor = context.self != coordinator_id;
    decision.rule = at_donor ? "donated" : "passed_on";
    decision.reason = at_donor ? "this site's configuration gives its state to the recipient"
                               : "a donor's state, sealed to the recipient";
  }
  if (auto refusal = refuse(request, context)) {
    decision.permitted = false;
    decision.max_bytes = 0;
    decision.rule = std::move(refusal->rule);
    decision.reason = std::move(refusal->reason);
  }
  return decision;
}

ledger::Written<ledger::Decision> permit(ledger::Ledger& ledger, const Request& request,
                                         const PolicyContext& context) {
  return ledger.write(decide(request, context));
}

}  // namespace concordat::governance
