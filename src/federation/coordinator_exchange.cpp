#include "concordat/federation/coordinator_exchange.hpp"

#include "concordat/crypto/hash.hpp"
#include "federation/checks.hpp"

namespace concordat::federation {

using border::MessageType;

std::string_view name_of(CoordinatorPhase phase) {
  switch (phase) {
    case CoordinatorPhase::gathering:
      return "gathering";
    case CoordinatorPhase::cosigning:
      return "cosigning";
    case CoordinatorPhase::uploading:
      return "uploading";
    case CoordinatorPhase::agreeing:
      return "agreeing";
    case CoordinatorPhase::summing:
      return "summing";
    case CoordinatorPhase::receiving:
      return "receiving";
    case CoordinatorPhase::closed:
      return "closed";
    case CoordinatorPhase::finished:
      return "finished";
  }
  return "unknown";
}

CoordinatorExchange::CoordinatorExchange(ExchangeTerms terms)
    : terms_(std::move(terms)), sites_(terms_.num_sites()) {}

// As in SiteExchange: checks first, changes after.
Effects CoordinatorExchange::handle(const Event& event) {
  return std::visit([this](const auto& one) { return on(one); }, event);
}

std::vector<SiteId> CoordinatorExchange::waiting_for() const {
  std::vector<SiteId> missing;
  for (const SiteId id : in_question()) {
    const SiteState& site = sites_[id.value()];
    bool there = true;
    switch (phase_) {
      case CoordinatorPhase::gathering:
        there = site.ready.has_value();
        break;
      case CoordinatorPhase::cosigning:
        there = site.cosign.has_value();
        break;
      case CoordinatorPhase::uploading:
        there = site.stored;
        break;
      case CoordinatorPhase::agreeing:
        there = site.agree.has_value();
        break;
      case CoordinatorPhase::receiving:
        there = site.received.has_value();
        break;
      default:
        break;
    }
    if (!there) missing.push_back(id);
  }
  return missing;
}

const border::FrameTable& CoordinatorExchange::upload(SiteId site) const {
  CONCORDAT_REQUIRE(site.value() < sites_.size() && sites_[site.value()].header.has_value(),
                    std::to_string(site.value()));
  return sites_[site.value()].header->table;
}

Chain CoordinatorExchange::chain() const {
  CONCORDAT_REQUIRE(phase_ == CoordinatorPhase::closed, std::string(name_of(phase_)));
  return chain_after(terms_, manifest_, closing_digest_);
}

Send CoordinatorExchange::send(SiteId to, MessageType type, const Bytes& body) const {
  return {
      {terms_.federation, terms_.exchange,
       names_agreement(type) ? terms_.agreement : manifest_digest_, coordinator_id, to, type, 0},
      body};
}

Effects CoordinatorExchange::broadcast(MessageType type, const Bytes& body) const {
  Effects effects;
  for (const SiteId site : manifest_.sites()) effects.push_back(send(site, type, body));
  return effects;
}

// Everything that proves the closing record to a site that was not there, in the order in which its
// participants had it.
void CoordinatorExchange::catch_up(SiteId site, Effects& effects) const {
  effects.push_back(send(site, MessageType::manifest, encode(manifest_)));
  effects.push_back(send(site, MessageType::go, encode(go())));
  effects.push_back(send(site, MessageType::survivors, encode(survivors_)));
  effects.push_back(send(site, MessageType::aggregate, encode(aggregate_)));
  effects.push_back(send(site, MessageType::closed, encode(closing_)));
}

Effects CoordinatorExchange::on(const Incoming& event) {
  const border::Header& header = event.header;
  if (header.sender.value() >= terms_.num_sites()) {
    refuse(errors::not_in_roster, terms_, "a message came from no site of the roster",
           border::text_of(header.sender), std::to_string(terms_.num_sites()) + " sites");
  }
  check_header(terms_, header, coordinator_id, manifest_digest_);
  const bool named = manifest_digest_.is_zero() || names(manifest_, header.sender);
  if (!named && header.type != MessageType::ready) {
    refuse(errors::not_a_participant, terms_,
           terms_.text_of(header.sender) + " is not in the manifest of this exchange",
           std::string(name_of(header.type)), "messages of " + ledger::parties(manifest_.sites()));
  }
  switch (header.type) {
    case MessageType::ready:
      return on_ready(header.sender, event.body);
    case MessageType::cosign:
      return on_cosign(header.sender, event.body);
    case MessageType::header:
      return on_header(header.sender, event.body);
    case MessageType::agree:
      return on_agree(header.sender, event.body);
    case MessageType::received:
      return on_received(header.sender, event.body);
    default:
      out_of_turn(terms_, name_of(header.type), name_of(phase_));
  }
}

Effects CoordinatorExchange::on_cosign(SiteId site, ByteView body) {
  CosignBody cosign = decode_cosign(body);
  SiteState& state = sites_[site.value()];
  if (repeats(terms_, site, state.cosign, cosign.signature, "cosign")) return {};
  if (phase_ != CoordinatorPhase::cosigning) out_of_turn(terms_, "cosign", name_of(phase_));
  check_signature(terms_, site,
                  cosign_statement(terms_.federation, terms_.exchange, manifest_digest_),
                  cosign.signature, "cosignature");
  state.cosign = cosign.signature;
  if (!waiting_for().empty()) return {};
  phase_ = CoordinatorPhase::uploading;
  return broadcast(MessageType::go, encode(go()));
}

GoBody CoordinatorExchange::go() const {
  GoBody go;
  for (const SiteId site : manifest_.sites()) {
    go.cosignatures.push_back({site, *sites_[site.value()].cosign});
  }
  return go;
}

Effects CoordinatorExchange::on_header(SiteId site, ByteView body) {
  TableBody header = decode_table(body);
  SiteState& state = sites_[site.value()];
  if (repeats(terms_, site, state.header, header, "header")) return {};
  if (phase_ != CoordinatorPhase::uploading) out_of_turn(terms_, "header", name_of(phase_));
  check_table(terms_, site, header.table);
  state.header = header;
  return {AcceptUpload{site, header.table}};
}

Effects CoordinatorExchange::on(const UploadStored& event) {
  CONCORDAT_REQUIRE(event.site.value() < sites_.size(), std::to_string(event.site.value()));
  SiteState& state = sites_[event.site.value()];
  if (state.stored) return {};
  if (!state.header) out_of_turn(terms_, "a stored upload without its header", name_of(phase_));
  state.stored = true;
  if (!waiting_for().empty()) return {};
  SurvivorsBody survivors;
  for (const SiteId site : manifest_.sites()) {
    survivors.survivors.push_back(
        {site, header_digest(terms_.federation, terms_.exchange, manifest_digest_, site,
                             *sites_[site.value()].header)});
  }
  survivors_ = std::move(survivors);
  phase_ = CoordinatorPhase::agreeing;
  return broadcast(MessageType::survivors, encode(survivors_));
}

Effects CoordinatorExchange::on_agree(SiteId site, ByteView body) {
  AgreeBody agree = decode_agree(body);
  SiteState& state = sites_[site.value()];
  if (repeats(terms_, site, state.agree, agree.signature, "agree")) return {};
  if (phase_ != CoordinatorPhase::agreeing) out_of_turn(terms_, "agree", name_of(phase_));
  check_signature(terms_, site,
                  agree_statement(terms_.federation, terms_.exchange, manifest_digest_, survivors_),
                  agree.signature, "agreement to the survivors");
  state.agree = agree.signature;
  if (!waiting_for().empty()) return {};
  phase_ = CoordinatorPhase::summing;
  return {Sum{}};
}

Effects CoordinatorExchange::on(const Summed& event) {
  if (phase_ > CoordinatorPhase::summing && event.table == aggregate_.table &&
      event.total_weight == total_weight_) {
    return {};
  }
  if (phase_ != CoordinatorPhase::summing) out_of_turn(terms_, "a sum", name_of(phase_));
  check_table(terms_, coordinator_id, event.table);
  check_weight(terms_, manifest_.participants.size(), event.total_weight);
  aggregate_.table = event.table;
  total_weight_ = event.total_weight;
  phase_ = CoordinatorPhase::receiving;
  return broadcast(MessageType::aggregate, encode(aggregate_));
}

Effects CoordinatorExchange::on_received(SiteId site, ByteView body) {
  ReceivedBody received = decode_received(body);
  SiteState& state = sites_[site.value()];
  if (repeats(terms_, site, state.received, received, "received")) return {};
  if (phase_ != CoordinatorPhase::receiving) out_of_turn(terms_, "received", name_of(phase_));
  if (received.root != aggregate_.table.root || received.total_weight != total_weight_) {
    refuse(errors::aggregate_differs, terms_, terms_.text_of(site) + " received another aggregate",
           received.root.hex() + ", weight " + std::to_string(received.total_weight),
           aggregate_.table.root.hex() + ", weight " + std::to_string(total_weight_));
  }
  check_signature(
      terms_, site,
      received_statement(terms_.federation, terms_.exchange, manifest_digest_,
                         crypto::sha256(encode(survivors_)), received.root, received.total_weight),
      received.signature, "receipt");
  state.received = received;
  if (!waiting_for().empty()) return {};
  closing_ = {manifest_digest_, total_weight_, aggregate_.table.root, {}};
  for (const SiteId one : manifest_.sites()) {
    closing_.received.push_back({one, sites_[one.value()].received->signature});
  }
  Bytes record = encode(closing_);
  closing_digest_ = crypto::sha256(record);
  phase_ = CoordinatorPhase::closed;
  Effects effects = broadcast(MessageType::closed, record);
  for (const SiteId one : missed()) catch_up(one, effects);
  effects.push_back(Close{closing_, closing_digest_});
  return effects;
}

Effects CoordinatorExchange::on(const Start&) {
  CONCORDAT_REQUIRE(false, "Start is an event of a site");
  return {};
}

Effects CoordinatorExchange::on(const Committed&) {
  CONCORDAT_REQUIRE(false, "Committed is an event of a site");
  return {};
}

Effects CoordinatorExchange::on(const AggregateStored&) {
  CONCORDAT_REQUIRE(false, "AggregateStored is an event of a site");
  return {};
}

Effects CoordinatorExchange::on(const Forgone&) {
  CONCORDAT_REQUIRE(false, "Forgone is an event of a site");
  return {};
}

Effects CoordinatorExchange::on(const FinalReadyAcknowledged&) {
  CONCORDAT_REQUIRE(false, "FinalReadyAcknowledged is an event of a site");
  return {};
}

Bytes CoordinatorExchange::snapshot() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(phase_));
  for (const SiteState& site : sites_) {
    out.sized(site.ready ? encode(*site.ready) : Bytes{});
    out.sized(site.cosign ? encode(CosignBody{*site.cosign, {}}) : Bytes{});
    out.sized(site.header ? encode(*site.header) : Bytes{});
    out.u8(site.stored ? 1 : 0);
    out.sized(site.agree ? encode(AgreeBody{*site.agree}) : Bytes{});
    out.sized(site.received ? encode(*site.received) : Bytes{});
  }
  out.digest(manifest_digest_);
  out.sized(encode(survivors_));
  out.sized(encode(aggregate_));
  out.u64(total_weight_);
  out.sized(encode(closing_));
  out.digest(closing_digest_);
  return std::move(out).bytes();
}

}  // namespace concordat::federation
