// Outward: a decision in the ledger, sealed bytes in the journal, a crossing in the ledger, and
// only then the road. A restart finds the sealed bytes and sends those.
#include "concordat/border/errors.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/hash.hpp"
#include "site/border_state.hpp"

namespace concordat::site {

using border::MessageType;

namespace {

std::string point(std::string_view what, MessageType type) {
  return "border." + std::string(what) + "_" + std::string(border::name_of(type));
}

ledger::CrossingKind kind_of(MessageType type) {
  return static_cast<ledger::CrossingKind>(static_cast<std::uint8_t>(type));
}

border::FrameHeader frame_header(const Outgoing& out, const border::FrameKey& key) {
  federation::TableBody body = federation::decode_table(out.send.body);
  return {body.table, key.clone(), body.rest};
}

}  // namespace

ledger::Written<ledger::Decision> BorderLoop::State::permit(const border::Header& header,
                                                            std::uint64_t bytes) {
  auto written = governance::permit(
      ledger, {kind_of(header.type), header.exchange, header.manifest, header.recipient, bytes, 0},
      policy());
  kill_point(point("decided", header.type));
  return written;
}

bool BorderLoop::State::send_pending() {
  for (auto& [type, out] : round->outgoing) {
    if (out.delivered) continue;
    if (type == MessageType::ready) {
      if (round->machine.missed() || round->ready_too_late) continue;
      if (hears_first()) return true;
      send_ready(out);
    } else if (type == MessageType::header) {
      prepare_upload(out);
      upload_some(out);
    } else {
      if (out.wire.empty()) seal(out);
      deliver(out);
      mark_delivered(out);
    }
    return true;
  }
  return false;
}

// Before a ready: whether the coordinator has something to say, such as that the round went on
// without this site.
bool BorderLoop::State::hears_first() { return receive(std::chrono::milliseconds(0)); }

// A ready that comes too late is not sent again: what the coordinator will say is enough.
void BorderLoop::State::send_ready(Outgoing& out) {
  if (out.wire.empty()) seal(out);
  try {
    deliver(out);
  } catch (const Error& error) {
    const bool too_late = error.code() == border::errors::peer_refused &&
                          error.fields().found == federation::errors::too_late.name;
    if (!too_late) throw;
    round->ready_too_late = true;
    say("the round began without this site, which catches up when it is closed");
    return;
  }
  mark_delivered(out);
}

void BorderLoop::State::seal(Outgoing& out) {
  const border::Header& header = out.send.header;
  auto written = permit(header, border::sealed_message_bytes(out.send.body.size()));
  border::Envelope sealed =
      border::seal_message(std::move(written), header, out.send.body, me, peers, seams.random);
  Bytes wire(sealed.wire().begin(), sealed.wire().end());
  journal->append(encode(SealedRecord{header.type, wire}));
  out.wire = std::move(wire);
  kill_point(point("sealed", header.type));
}

void BorderLoop::State::record_crossing(const Outgoing& out, std::uint64_t frame_bytes) {
  const border::Header& header = out.send.header;
  ledger::Crossing crossing;
  crossing.kind = kind_of(header.type);
  crossing.direction = ledger::Direction::out;
  crossing.exchange = header.exchange;
  crossing.manifest = header.manifest;
  crossing.from = header.sender;
  crossing.to = header.recipient;
  crossing.digest = crypto::sha256(out.wire);
  crossing.message_bytes = out.wire.size();
  crossing.frame_bytes = frame_bytes;
  crossing.decision = ledger::decision_id(crossing.kind, header.exchange, header.recipient);
  crossing.facts =
      federation::crossing_facts(header.type, out.send.body, round->machine.survivors());
  ledger.append(ledger::crossing_entry(crossing));
  kill_point(point("recorded", header.type));
}

void BorderLoop::State::deliver(Outgoing& out) {
  record_crossing(out, 0);
  seams.road.deliver(border::restore_message(out.wire, me, peers));
  kill_point(point("sent", out.send.header.type));
}

void BorderLoop::State::mark_delivered(Outgoing& out) {
  MessageType type = out.send.header.type;
  journal->append(encode(DeliveredRecord{type}));
  out.delivered = true;
  kill_point(point("delivered", type));
  say(std::string(border::name_of(type)) + " delivered");
}

// The header is sealed once; its right to frames is had again after every restart.
void BorderLoop::State::prepare_upload(Outgoing& out) {
  if (round->upload) return;
  if (!round->blocks) {
    round->blocks.emplace(folder, round->machine.terms(), round->machine.manifest_digest(),
                          round->machine.own_ready().state, tree_file());
  }
  BorderSecrets mine = load_secrets();
  if (!mine.upload) {
    mine.upload = border::FrameKey::generate(seams.random);
    save_secrets(mine);
    kill_point("border.frame_key_saved");
  }
  border::FrameHeader announced = frame_header(out, *mine.upload);
  const border::Header& header = out.send.header;
  std::uint64_t bytes = border::sealed_message_bytes(border::encode(announced).size()) +
                        announced.table.all_frame_bytes();
  auto written = permit(header, bytes);
  if (out.wire.empty()) {
    round->upload.emplace(
        border::seal_announcement(std::move(written), header, announced, me, peers, seams.random));
    ByteView wire = round->upload->message.wire();
    journal->append(encode(SealedRecord{header.type, Bytes(wire.begin(), wire.end())}));
    out.wire.assign(wire.begin(), wire.end());
    kill_point(point("sealed", header.type));
  } else {
    round->upload.emplace(
        border::resume_announcement(std::move(written), out.wire, announced, me, peers));
  }
}

void BorderLoop::State::upload_some(Outgoing& out) {
  const border::FrameTable& table = round->upload->frames.table();
  if (!round->header_delivered) {
    record_crossing(out, table.all_frame_bytes());
    seams.road.deliver(round->upload->message);
    round->header_delivered = true;
    kill_point(point("sent", MessageType::header));
  }
  std::uint64_t position = seams.road.upload_position(exchange());
  // Between two looks at the stop requests and two flushes of the coordinator.
  std::uint64_t last =
      std::min(position + seams.road.manner().blocks_per_flush, table.num_leaves());
  for (; position < last; ++position) {
    border::BlockPlace place = table.place(position);
    seams.road.deliver_block(
        round->upload->frames.seal(place, round->blocks->read(place), round->blocks->path(place)));
  }
  position = seams.road.flush_blocks(exchange());
  kill_point("border.frames_flushed");
  if (position >= table.num_leaves()) mark_delivered(out);
}

}  // namespace concordat::site
