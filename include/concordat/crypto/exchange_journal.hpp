// ExchangeJournal: the append-only, hash-chained file that outlives every crash. It holds digests,
// locks and answers, never secrets (those are in ExchangeSecrets). Format: docs/formats/journal.md.
//
//   ExchangeJournal journal = ExchangeJournal::open(fs, "alba/journal/exchange.journal",
//       [&](const JournalRecord& record) { machine.replay(record.body); });
//   if (journal.torn_bytes() > 0) log::warn(...);   // an append that was never acknowledged
//   journal.append(answer);                         // durable when it returns
//
// One record at a time is in flight, so a crash can tear at most the last one; it is cut when the
// file is opened, and torn_bytes() says so. Any other damage is Error(journal_damaged):
// acknowledged records are never dropped. Threads: one at a time; processes: the role's lock.
#pragma once

#include <functional>
#include <memory>

#include "concordat/core/file.hpp"

namespace concordat::crypto {

struct JournalRecord {
  std::uint64_t index;   ///< 0, 1, 2, ...
  std::uint64_t offset;  ///< where the record begins; for read()
  ByteView body;         ///< valid during the call
};

class ExchangeJournal {
 public:
  static constexpr std::uint32_t max_record_bytes = 64U << 20U;
  using Replay = std::function<void(const JournalRecord&)>;

  /// Opens or creates. Calls `replay` for each intact record, in order, one in memory at a time;
  /// what it is shown is durable, also where a crash came between an append and its sync.
  static ExchangeJournal open(FileSystem& fs, const FileSystem::Path& path, const Replay& replay);
  ExchangeJournal(ExchangeJournal&&) noexcept = default;

  /// Appends and syncs. Returns the offset of the record. After a failure (a full disk, say) the
  /// journal refuses further appends: open it again. @pre 1 <= body.size() <= max_record_bytes.
  std::uint64_t append(ByteView body);
  /// Reads the record at an offset that append() or replay named, and checks its digest.
  Bytes read(std::uint64_t offset);
  std::uint64_t num_records() const { return num_records_; }
  /// Chain value over everything so far: equal heads, equal histories.
  const Digest& head() const { return head_; }
  /// Bytes of an unacknowledged record that open() cut off; 0 normally.
  std::uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  ExchangeJournal() = default;
  std::string path_;
  std::unique_ptr<File> file_;
  std::uint64_t end_ = 0;
  std::uint64_t num_records_ = 0;
  std::uint64_t torn_bytes_ = 0;
  Digest head_;
  bool failed_ = false;
};

}  // namespace concordat::crypto
