#include "concordat/federation/events.hpp"

#include "concordat/core/error.hpp"

namespace concordat::federation {
namespace {

// Tags of the journal's format; a number is never used again for something else.
enum class Tag : std::uint8_t {
  start = 1,
  incoming = 2,
  committed = 3,
  aggregate_stored = 4,
  final_ready_acknowledged = 5,
  upload_stored = 6,
  summed = 7,
  deadline = 8,
  forgone = 9,
};

void tag(ByteWriter& out, Tag value) { out.u8(static_cast<std::uint8_t>(value)); }

struct Writer {
  ByteWriter& out;
  void operator()(const Start& event) const {
    tag(out, Tag::start);
    out.sized(encode(event.ready));
  }
  void operator()(const Incoming& event) const {
    tag(out, Tag::incoming);
    const border::Header& header = event.header;
    out.digest(header.federation);
    out.u32(header.exchange.round.value());
    out.u32(header.exchange.fragment.value());
    out.u32(header.exchange.attempt.value());
    out.digest(header.manifest);
    out.u32(header.sender.value());
    out.u32(header.recipient.value());
    out.u16(static_cast<std::uint16_t>(header.type));
    out.u32(header.index);
    out.sized(event.body);
  }
  void operator()(const Committed& event) const {
    tag(out, Tag::committed);
    event.table.encode(out);
  }
  void operator()(const AggregateStored& event) const {
    tag(out, Tag::aggregate_stored);
    out.digest(event.root);
    out.u64(event.total_weight);
  }
  void operator()(const FinalReadyAcknowledged&) const { tag(out, Tag::final_ready_acknowledged); }
  void operator()(const UploadStored& event) const {
    tag(out, Tag::upload_stored);
    out.u32(event.site.value());
  }
  void operator()(const Summed& event) const {
    tag(out, Tag::summed);
    event.table.encode(out);
    out.u64(event.total_weight);
  }
  void operator()(const Deadline&) const { tag(out, Tag::deadline); }
  void operator()(const Forgone&) const { tag(out, Tag::forgone); }
};

Incoming read_incoming(ByteReader& in) {
  Incoming event;
  event.header.federation = in.digest();
  event.header.exchange.round = Round(in.u32());
  event.header.exchange.fragment = Fragment(in.u32());
  event.header.exchange.attempt = Attempt(in.u32());
  event.header.manifest = in.digest();
  event.header.sender = SiteId(in.u32());
  event.header.recipient = SiteId(in.u32());
  std::uint16_t number = in.u16();
  auto type = border::message_type_from(number);
  if (!type) {
    throw Error(errors::malformed, {.what = "an event has no known message type",
                                    .where = "journal",
                                    .found = std::to_string(number),
                                    .expected = "1 to 14",
                                    .remedy = "the journal is of another version"});
  }
  event.header.type = *type;
  event.header.index = in.u32();
  ByteView body = in.sized(border::max_body_bytes);
  event.body.assign(body.begin(), body.end());
  return event;
}

Event read_event(ByteReader& in) {
  auto kind = static_cast<Tag>(in.u8());
  switch (kind) {
    case Tag::start:
      return Start{decode_ready(in.sized(border::max_body_bytes))};
    case Tag::incoming:
      return read_incoming(in);
    case Tag::committed:
      return Committed{border::FrameTable::decode(in)};
    case Tag::aggregate_stored: {
      AggregateStored event;
      event.root = in.digest();
      event.total_weight = in.u64();
      return event;
    }
    case Tag::final_ready_acknowledged:
      return FinalReadyAcknowledged{};
    case Tag::upload_stored:
      return UploadStored{SiteId(in.u32())};
    case Tag::summed: {
      Summed event;
      event.table = border::FrameTable::decode(in);
      event.total_weight = in.u64();
      return event;
    }
    case Tag::deadline:
      return Deadline{};
    case Tag::forgone:
      return Forgone{};
  }
  throw Error(errors::malformed, {.what = "an event is of no known kind",
                                  .where = "journal",
                                  .found = std::to_string(static_cast<int>(kind)),
                                  .expected = "1 to 9",
                                  .remedy = "the journal is of another version"});
}

}  // namespace

Bytes encode(const Event& event) {
  ByteWriter out;
  std::visit(Writer{out}, event);
  return std::move(out).bytes();
}

Event decode_event(ByteView bytes) {
  ByteReader in(bytes, "event");
  Event event = read_event(in);
  in.finish();
  return event;
}

}  // namespace concordat::federation
