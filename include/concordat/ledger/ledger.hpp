// Ledger: an append-only Merkle log (RFC 6962) in open text.
//
//   Ledger ledger = Ledger::open(posix_files(), site / "ledger", "concordat/FED/site-0",
//                                keys.log, system_clock());
//   for (auto& line : ledger.recovery_notes()) log::warn(line);
//   std::uint64_t index = ledger.append(commit_entry(facts));       // durable when it returns
//   Written<Decision> written = ledger.write(decision);             // refused: Error, exit 77
//   std::string note = ledger.checkpoint();                         // signed head, on disk
//   auto path = ledger.inclusion_proof(index, ledger.head().size);
//
// Files: `log.jsonl`, one JSON object per line, leaf = SHA-256(0x00 || line without newline), and
// `checkpoint`, a C2SP signed note over the head (docs/formats/ledger.md).
//
// Runs: after an `agreement` entry went through this object, new or found, the keys of what
// follows belong to that run (run_scope()), so a site folder serves one run after the other.
//
// Ownership: one writer at a time; the caller holds the role lock of the folder. File system, key
// and clock outlive the ledger. Threads: every member may be called from any thread.
// Failure: Error(ledger.*), or the file seam's. After a failed append the object takes no more
// (Error(ledger.broken)): open it again, which cuts what is half-written and says so.
// Cost: an append is one write and one fsync however many entries; memory is about 150 bytes per
// entry and the key. Opening reads and hashes the log once, some 25 microseconds per entry.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/keys.hpp"
#include "concordat/ledger/decision.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/ledger/entry.hpp"
#include "concordat/ledger/errors.hpp"

namespace concordat::ledger {

class Ledger {
 public:
  /// Opens the ledger of `folder`, or creates it. `origin` names the log in its checkpoints (no
  /// spaces or line ends) and must be the one it was created with.
  /// A torn last line is cut; everything that the stored checkpoint covers must still be there.
  /// @throws Error(ledger.malformed | rolled_back | bad_checkpoint).
  static Ledger open(FileSystem& fs, const FileSystem::Path& folder, std::string origin,
                     const crypto::SigningKey& log_key, Clock& clock);
  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();

  /// Appends one entry and returns its index once it is durable. A key that is there already with
  /// the same kind and fields returns its index and writes nothing.
  /// @throws Error(ledger.conflict) if the content differs.
  std::uint64_t append(const Entry& entry);
  /// Many entries, one fsync, all or (on conflict) none; a crash keeps a prefix.
  std::vector<std::uint64_t> append(std::span<const Entry> entries);
  /// Appends an entry whose key is whole: with the scope of its run, or none, whatever run is open.
  /// For entries that others made (hand_over.hpp). @pre not of kind `agreement`.
  std::uint64_t append_keyed(const Entry& entry);

  /// Records the decision, then proves it. A decision that does not permit is recorded as a
  /// refusal and thrown as Error(ledger.refused) with its rule and reason.
  Written<Decision> write(const Decision& decision);
  /// Many decisions, one fsync; all are recorded before the first refusal is thrown.
  std::vector<Written<Decision>> write(std::span<const Decision> decisions);

  /// Size and root of what is durable now.
  Head head() const;
  /// Signs the head, replaces the `checkpoint` file durably and returns the note. Call when a
  /// `ready` states the head, at every closing, and before the process ends.
  std::string checkpoint();

  /// @pre index < size <= head().size.
  std::vector<Digest> inclusion_proof(std::uint64_t index, std::uint64_t size) const;
  /// From the tree of `old_size` to that of `new_size`. @pre 0 < old_size <= new_size <= head().
  std::vector<Digest> consistency_proof(std::uint64_t old_size, std::uint64_t new_size) const;
  /// Root of the first `size` entries. @pre size <= head().size.
  Digest root_at(std::uint64_t size) const;

  /// Index of the entry with this key, in the run that is open.
  std::optional<std::uint64_t> find(std::string_view key) const;
  /// Whether an entry has this key, which is whole: with its scope.
  bool has_key(std::string_view key) const;
  /// Whether an `agreement` entry opened the run of this scope, "0123456789abcdef/".
  bool knows_run(std::string_view scope) const;
  /// Reads the entry back from disk. @pre index < head().size.
  LoggedEntry entry(std::uint64_t index) const;
  const std::string& origin() const;
  /// What opening had to repair, one sentence each; empty after a clean shutdown.
  const std::vector<std::string>& recovery_notes() const;

 private:
  struct State;
  explicit Ledger(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace concordat::ledger
