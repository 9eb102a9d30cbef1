#include "coordinator/exchange_log.hpp"

#include <algorithm>

#include "concordat/coordinator/errors.hpp"

namespace concordat::coordinator {
namespace {

constexpr std::uint32_t max_wire_bytes = 8U << 20U;

enum class Tag : std::uint8_t { begin = 1, incoming = 2, own = 3, sealed = 4 };

void put(ByteWriter& out, const ExchangeId& exchange) {
  out.u32(exchange.round.value());
  out.u32(exchange.fragment.value());
  out.u32(exchange.attempt.value());
}

ExchangeId take_exchange(ByteReader& in) {
  ExchangeId exchange;
  exchange.round = Round(in.u32());
  exchange.fragment = Fragment(in.u32());
  exchange.attempt = Attempt(in.u32());
  return exchange;
}

struct Encoder {
  ByteWriter out;
  void operator()(const BeginRecord& record) {
    out.u8(static_cast<std::uint8_t>(Tag::begin));
    put(out, record.exchange);
    out.digest(record.agreement);
    out.digest(record.chain.closing);
    out.u32(static_cast<std::uint32_t>(record.chain.heads.size()));
    for (const ledger::Head& head : record.chain.heads) {
      out.u64(head.size);
      out.digest(head.root);
    }
  }
  void operator()(const IncomingRecord& record) {
    out.u8(static_cast<std::uint8_t>(Tag::incoming));
    out.digest(record.digest);
    out.u64(record.message_bytes);
    out.sized(federation::encode(federation::Event(record.message)));
    out.raw(record.statement);
  }
  void operator()(const OwnRecord& record) {
    out.u8(static_cast<std::uint8_t>(Tag::own));
    out.sized(federation::encode(record.event));
  }
  void operator()(const SealedRecord& record) {
    out.u8(static_cast<std::uint8_t>(Tag::sealed));
    out.u32(record.to.value());
    out.u16(static_cast<std::uint16_t>(record.type));
    out.sized(record.wire);
  }
};

[[noreturn]] void bad(std::string_view where, std::string found) {
  throw Error(errors::bad_journal, {.what = "a record that this program did not write",
                                    .where = std::string(where),
                                    .found = std::move(found),
                                    .expected = "begin, incoming, own or sealed",
                                    .remedy = "restore the journal from a backup"});
}

}  // namespace

void require_agreement(const BeginRecord& begin, const Digest& agreement, std::string_view where) {
  if (begin.agreement == agreement) return;
  throw Error(errors::bad_journal,
              {.what = "the journal belongs to another run",
               .where = std::string(where),
               .found = begin.agreement.hex(),
               .expected = agreement.hex(),
               .remedy = "give the new run another folder, or restore its agreement"});
}

Bytes encode(const LogRecord& record) {
  Encoder encoder;
  std::visit(encoder, record);
  return std::move(encoder.out).bytes();
}

LogRecord decode_record(ByteView bytes, std::string_view where) {
  ByteReader in(bytes, where);
  std::uint8_t tag = in.u8();
  LogRecord record;
  switch (static_cast<Tag>(tag)) {
    case Tag::begin: {
      BeginRecord begin{take_exchange(in), in.digest(), {in.digest(), {}}};
      std::uint32_t count = in.count(federation::max_sites);
      for (std::uint32_t i = 0; i < count; ++i) {
        std::uint64_t size = in.u64();
        begin.chain.heads.push_back({size, in.digest()});
      }
      record = std::move(begin);
      break;
    }
    case Tag::incoming: {
      IncomingRecord incoming{in.digest(), in.u64(), {}, {}};
      auto event = federation::decode_event(in.sized(max_wire_bytes));
      auto* message = std::get_if<federation::Incoming>(&event);
      if (message == nullptr) bad(where, "an event that is no message");
      incoming.message = std::move(*message);
      std::ranges::copy(in.raw(incoming.statement.size()), incoming.statement.begin());
      record = std::move(incoming);
      break;
    }
    case Tag::own:
      record = OwnRecord{federation::decode_event(in.sized(max_wire_bytes))};
      break;
    case Tag::sealed: {
      SealedRecord sealed{SiteId(in.u32()), {}, {}};
      std::uint16_t number = in.u16();
      auto type = border::message_type_from(number);
      if (!type) bad(where, "message type " + std::to_string(number));
      sealed.type = *type;
      ByteView wire = in.sized(max_wire_bytes);
      sealed.wire.assign(wire.begin(), wire.end());
      record = std::move(sealed);
      break;
    }
    default:
      bad(where, "tag " + std::to_string(tag));
  }
  in.finish();
  return record;
}

ExchangeLog ExchangeLog::open(const CoordinatorFolder& folder, const ExchangeId& exchange,
                              const Replay& replay) {
  FileSystem::Path path = folder.journal(exchange);
  std::string where = path.string();
  auto journal =
      crypto::ExchangeJournal::open(folder.files(), path, [&](const crypto::JournalRecord& record) {
        if (replay) replay(decode_record(record.body, where), record.offset);
      });
  return {std::move(journal), where};
}

SealedRecord ExchangeLog::sealed(std::uint64_t offset) {
  LogRecord record = decode_record(journal_.read(offset), where_);
  auto* sealed = std::get_if<SealedRecord>(&record);
  if (sealed == nullptr) bad(where_, "no sealed message at offset " + std::to_string(offset));
  return std::move(*sealed);
}

}  // namespace concordat::coordinator
