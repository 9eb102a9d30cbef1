// Inward: open, let the machine check, journal, write the ledger, act, and only then acknowledge.
#include "concordat/border/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/site/errors.hpp"
#include "site/border_state.hpp"

namespace concordat::site {

using border::MessageType;
using federation::SitePhase;

namespace {

// True for what is wrong with the message, not with this site's disk or with the moment.
bool is_refusal(const Error& error) {
  if (error.code() == federation::errors::out_of_turn) return false;
  if (error.code() == concordat::errors::malformed) return true;
  return !error.code().name.starts_with("core.") && !error.code().name.starts_with("ledger.");
}

bool is_gone(const Error& error) {
  return error.code() == border::errors::peer_refused &&
         error.fields().found == "coordinator.aggregate_gone";
}

}  // namespace

bool BorderLoop::State::awaits_message() const {
  // Whatever the exchange waits for: without the state no rank can do its part.
  if (needy) return true;
  switch (round->machine.phase()) {
    case SitePhase::idle:
      return !round->machine.terms().final;
    case SitePhase::ready:
    case SitePhase::missed:
    case SitePhase::cosigned:
    case SitePhase::committed:
    case SitePhase::agreed:
    case SitePhase::received:
      return true;
    default:
      return false;
  }
}

bool BorderLoop::State::receive(std::chrono::milliseconds wait) {
  std::optional<Bytes> wire = seams.road.fetch(wait);
  if (!wire) return false;
  Digest digest = crypto::sha256(*wire);
  try {
    border::Claim claim = border::read_claim(*wire);
    if (claim.type == MessageType::state) {
      // The coordinator's own word comes first, so there is none now: what a member sends to this
      // site holds up nothing that waits for that.
      if (take_state(*wire, digest)) seams.road.acknowledge(digest);
      return false;
    }
    if (!receipts.knows(claim.exchange, digest)) {
      border::OpenedMessage message = border::open_message(*wire, me, peers);
      federation::check_run(round->machine.terms(), message.header,
                            round->machine.manifest_digest());
      receipts.require_new(message);
      accept_message(message, wire->size());
      receipts.record(message);
      kill_point("border.receipt_" + std::string(border::name_of(message.header.type)));
    }
  } catch (const Error& error) {
    // Whatever was turned away stays unacknowledged and stands in the ledger.
    if (is_refusal(error)) {
      ledger.append(ledger::refusal_entry(digest.hex(), error.code().name, error.fields().what));
      ledger.checkpoint();
    }
    throw;
  }
  seams.road.acknowledge(digest);
  return true;
}

void BorderLoop::State::accept_message(const border::OpenedMessage& message,
                                       std::uint64_t message_bytes) {
  if (message.header.type == MessageType::aggregate) {
    // Its frame key must outlive a crash, and no key enters the journal. A site that missed the
    // round may have drawn no keys for it.
    const bool has_none = round->machine.missed() && !secrets.load(exchange());
    BorderSecrets mine = has_none ? fresh_secrets(seams.random) : load_secrets();
    mine.aggregate = border::decode_frame_header(message.body).key.clone();
    save_secrets(mine);
  }
  federation::Incoming event{message.header, federation::protocol_body(message)};
  accept({message.digest, message_bytes, event, message.statement},
         "border.journaled_" + std::string(border::name_of(message.header.type)));
  say(std::string(border::name_of(message.header.type)) + " accepted");
}

// The machine works on a copy: a refused event leaves everything as it was, an accepted one is in
// the journal before anybody acts on it.
void BorderLoop::State::accept(const EventRecord& record, std::string_view point) {
  federation::SiteExchange next = round->machine;
  federation::Effects effects = next.handle(record.event);
  journal->append(encode(record));
  kill_point(point);
  round->machine = std::move(next);
  record_incoming(record);
  apply(record, effects);
}

void BorderLoop::State::record_incoming(const EventRecord& record) {
  if (std::holds_alternative<federation::Forgone>(record.event)) {
    ledger.append(ledger::forgone_entry({.exchange = exchange(),
                                         .manifest = round->machine.manifest_digest(),
                                         .site = own,
                                         .root = round->machine.aggregate().root}));
    kill_point("border.forgone_recorded");
    return;
  }
  const auto* incoming = std::get_if<federation::Incoming>(&record.event);
  if (incoming == nullptr) return;
  const border::Header& header = incoming->header;
  ledger::Crossing crossing;
  crossing.kind = static_cast<ledger::CrossingKind>(static_cast<std::uint8_t>(header.type));
  crossing.direction = ledger::Direction::in;
  crossing.exchange = header.exchange;
  crossing.manifest = header.manifest;
  crossing.from = header.sender;
  crossing.to = header.recipient;
  crossing.digest = record.message;
  crossing.message_bytes = record.message_bytes;
  if (header.type == MessageType::aggregate) {
    crossing.frame_bytes = federation::decode_table(incoming->body).table.all_frame_bytes();
  }
  crossing.facts =
      federation::crossing_facts(header.type, incoming->body, round->machine.survivors());
  ledger.append(ledger::crossing_entry(crossing));
}

// What proves the exchange is kept for ever, its aggregate is not. A site that has named a donor
// goes on to where its state can be checked; another one is told how.
void BorderLoop::State::go_without_aggregate() {
  if (!plan.donor) {
    throw Error(errors::too_far_behind,
                {.what = "this site missed more rounds than the coordinator keeps aggregates of",
                 .where = "the coordinator",
                 .found = "no aggregate of exchange " + exchange().text(),
                 .expected = "the aggregates of all rounds since this site was last ready",
                 .remedy = "name a site that may give its state in federation.donor, start the "
                           "border again, and have 'concordat donate SITE.toml --to=" +
                           keys.name +
                           "' run there; raise coordinator.keep_rounds before sites "
                           "wait that long"});
  }
  round->download.reset();
  accept({{}, 0, federation::Forgone{}}, "border.forgone_journaled");
  drop_partial_aggregate();
  say("its aggregate is kept no longer: this site goes on without, and needs the state of " +
      plan.roster.roster.sites[plan.donor->value()].name);
}

void BorderLoop::State::drop_partial_aggregate() {
  seams.fs.remove(folder.aggregate_blocks(exchange()));
  seams.fs.remove(folder.aggregate_weight(exchange()));
  seams.fs.remove(folder.aggregate_leaves(exchange()));
}

bool BorderLoop::State::download_some() {
  if (round->machine.phase() != SitePhase::fetching) return false;
  const border::FrameTable& table = round->fetch->table;
  if (!round->opener) {
    BorderSecrets mine = load_secrets();
    CONCORDAT_REQUIRE(mine.aggregate.has_value() && round->announced.has_value(),
                      exchange().text());
    border::FrameHeader announced{table, mine.aggregate->clone(), {}};
    const crypto::SecretBytes body = border::encode(announced);
    round->opener.emplace(border::OpenedMessage{round->announced->header,
                                                Bytes(body.view().begin(), body.view().end()),
                                                round->announced->digest},
                          peers);
  }
  if (!round->download) {
    const auto& participants = round->machine.manifest().participants;
    round->download.emplace(folder, round->machine.terms(), table,
                            static_cast<std::uint32_t>(participants.size()));
  }
  AggregateFile& file = *round->download;
  std::uint64_t first = file.position();
  std::uint64_t last = std::min(first + seams.road.manner().blocks_per_flush, table.num_leaves());
  if (first < last) {
    try {
      seams.road.fetch_blocks(exchange(), first, last,
                              [&](ByteView wire) { file.put(round->opener->open(wire)); });
    } catch (const Error& error) {
      // Whoever took part signs for the sum before the round is closed: to it, that is a lie.
      if (!is_gone(error) || !round->machine.missed()) throw;
      go_without_aggregate();
      return true;
    }
    kill_point("border.blocks_fetched");
  }
  if (file.position() < table.num_leaves()) return true;
  federation::AggregateStored stored;
  try {
    stored = file.finish();
  } catch (const Error& error) {
    round->download.reset();
    // Blocks that were opened just now are authentic; older ones may be torn: once more, from 0.
    if (!(error.code() == errors::block_digest) || first == 0) throw;
    log::warn(error.what());
    return true;
  }
  kill_point("border.aggregate_stored");
  accept({{}, 0, stored}, "border.aggregate_journaled");
  round->download.reset();
  say("aggregate stored, " + std::to_string(table.num_leaves()) + " blocks");
  return true;
}

}  // namespace concordat::site
