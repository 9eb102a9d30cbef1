#include "site/border_records.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/federation/roster.hpp"

namespace concordat::site {
namespace {

enum class Tag : std::uint8_t { opened = 1, event = 2, sealed = 3, delivered = 4, over = 5 };

[[noreturn]] void refuse(std::string found, std::string expected) {
  throw Error(concordat::errors::malformed, {.what = "a record of the journal is not known",
                                             .where = "border journal",
                                             .found = std::move(found),
                                             .expected = std::move(expected),
                                             .remedy = "it is of another version"});
}

struct Writer {
  ByteWriter& out;
  void tag(Tag value) const { out.u8(static_cast<std::uint8_t>(value)); }
  void operator()(const OpenedRecord& record) const {
    tag(Tag::opened);
    out.digest(record.agreement);
  }
  void operator()(const EventRecord& record) const {
    tag(Tag::event);
    out.digest(record.message);
    out.u64(record.message_bytes);
    out.sized(encode(record.event));
    if (std::holds_alternative<federation::Incoming>(record.event)) out.raw(record.statement);
  }
  void operator()(const SealedRecord& record) const {
    tag(Tag::sealed);
    out.u16(static_cast<std::uint16_t>(record.type));
    out.sized(record.wire);
  }
  void operator()(const DeliveredRecord& record) const {
    tag(Tag::delivered);
    out.u16(static_cast<std::uint16_t>(record.type));
  }
  void operator()(const OverRecord& record) const {
    tag(Tag::over);
    out.u32(record.round.value());
    out.digest(record.manifest);
    out.digest(record.chain.closing);
    out.u32(static_cast<std::uint32_t>(record.chain.heads.size()));
    for (const ledger::Head& head : record.chain.heads) {
      out.u64(head.size);
      out.digest(head.root);
    }
  }
};

border::MessageType read_type(ByteReader& in) {
  std::uint16_t number = in.u16();
  auto type = border::message_type_from(number);
  if (!type) refuse("message type " + std::to_string(number), "1 to 14, or 18");
  return *type;
}

BorderRecord read(ByteReader& in) {
  std::uint8_t number = in.u8();
  switch (static_cast<Tag>(number)) {
    case Tag::opened:
      return OpenedRecord{in.digest()};
    case Tag::event: {
      EventRecord record;
      record.message = in.digest();
      record.message_bytes = in.u64();
      record.event = federation::decode_event(in.sized(2 * border::max_body_bytes));
      if (std::holds_alternative<federation::Incoming>(record.event)) {
        std::ranges::copy(in.raw(record.statement.size()), record.statement.begin());
      }
      return record;
    }
    case Tag::sealed: {
      SealedRecord record{read_type(in), {}};
      ByteView wire = in.sized(border::max_message_wire_bytes());
      record.wire.assign(wire.begin(), wire.end());
      return record;
    }
    case Tag::delivered:
      return DeliveredRecord{read_type(in)};
    case Tag::over: {
      OverRecord record;
      record.round = Round(in.u32());
      record.manifest = in.digest();
      record.chain.closing = in.digest();
      record.chain.heads.resize(in.count(static_cast<std::uint32_t>(federation::max_sites)));
      for (ledger::Head& head : record.chain.heads) {
        head.size = in.u64();
        head.root = in.digest();
      }
      return record;
    }
  }
  refuse("record " + std::to_string(number), "1 to 5");
}

}  // namespace

Bytes encode(const BorderRecord& record) {
  ByteWriter out;
  std::visit(Writer{out}, record);
  return std::move(out).bytes();
}

BorderRecord decode_border_record(ByteView bytes) {
  ByteReader in(bytes, "border journal");
  BorderRecord record = read(in);
  in.finish();
  return record;
}

}  // namespace concordat::site
