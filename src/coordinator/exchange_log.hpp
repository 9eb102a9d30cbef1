// The journal of one exchange: what came, what was said, in order. Replaying it gives the same
// machine and the same sealed bytes.
//
//   ExchangeLog log = ExchangeLog::open(folder, exchange, [&](const LogRecord& r) { replay(r); });
//   log.append(IncomingRecord{digest, bytes, event});
//   std::uint64_t at = log.append(SealedRecord{SiteId{1}, MessageType::go, wire});
//   Bytes wire = log.sealed(at).wire;
//
// Holds no secret: event bodies are without frame keys, sealed messages are sealed.
#pragma once

#include <functional>
#include <variant>

#include "concordat/border/envelope.hpp"
#include "concordat/crypto/exchange_journal.hpp"
#include "concordat/federation/events.hpp"
#include "concordat/federation/terms.hpp"
#include "coordinator/exchange_files.hpp"

namespace concordat::coordinator {

/// First record of every journal: what the exchange starts from.
struct BeginRecord {
  ExchangeId exchange{};
  Digest agreement{};  ///< of the run
  federation::Chain chain{};
};
/// A message of a site that the machine accepted.
struct IncomingRecord {
  Digest digest{};                  ///< of its sealed bytes
  std::uint64_t message_bytes = 0;  ///< their number
  federation::Incoming message{};
  border::Statement statement{};  ///< what its sender signed
};
/// Something of our own that the machine accepted: an upload stored, a sum.
struct OwnRecord {
  federation::Event event{};
};
/// A message of ours, sealed; journalled before it is first sent.
struct SealedRecord {
  SiteId to{};
  border::MessageType type{};
  Bytes wire{};
};
using LogRecord = std::variant<BeginRecord, IncomingRecord, OwnRecord, SealedRecord>;

/// @throws Error(coordinator.bad_journal) if the journal is of another run.
void require_agreement(const BeginRecord& begin, const Digest& agreement, std::string_view where);

Bytes encode(const LogRecord& record);
/// @throws Error(coordinator.bad_journal | malformed).
LogRecord decode_record(ByteView bytes, std::string_view where);

class ExchangeLog {
 public:
  using Replay = std::function<void(const LogRecord&, std::uint64_t offset)>;
  /// Opens or creates, and replays; without `replay` the records are only checked.
  static ExchangeLog open(const CoordinatorFolder& folder, const ExchangeId& exchange,
                          const Replay& replay);
  /// Durable when it returns; the offset is for sealed().
  std::uint64_t append(const LogRecord& record) { return journal_.append(encode(record)); }
  SealedRecord sealed(std::uint64_t offset);
  std::uint64_t torn_bytes() const { return journal_.torn_bytes(); }

 private:
  ExchangeLog(crypto::ExchangeJournal journal, std::string where)
      : journal_(std::move(journal)), where_(std::move(where)) {}
  crypto::ExchangeJournal journal_;
  std::string where_;
};

}  // namespace concordat::coordinator
