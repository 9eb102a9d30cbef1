// HandOver: the folder in which others leave entries for the one process that may write a site's
// ledger, and find the index that it gave them.
//
//   HandOver desk(fs, site / "handover");               // made with mode 0700, or checked
//   std::string name = desk.put(entry);                 // durable when it returns
//   while (!desk.answer(name)) clock.sleep(pause);      // the writer gets to it in its own time
//   desk.forget(name);
//
//   Taken taken = desk.take(ledger);                    // the writer, in its loop
//
// Files: `DIGEST.entry` holds the entry as one line of the ledger's grammar with index and time 0;
// DIGEST is the SHA-256 of the file, so the same entry has the same name however often it is
// handed over. `DIGEST.answer` is JSON: the index, or why the entry was turned away
// (docs/formats/ledger.md has both). Both appear whole and durable or not at all.
//
// Kill either side anywhere: an entry stays until it has an answer, one that is written a second
// time is found again by its key, and whoever finds neither entry nor answer puts the entry again.
// So answers may be swept at any time.
//
// Only `ingest` and `checkpoint` entries are taken, in the exact form of their builders, the latter
// without a run or of a run whose agreement the ledger has. Anything else gets a `refusal` entry, a
// line in the log and an answer, and never ends the writer. What fails in the writer's own ledger
// or disk does.
//
// Threads: one per object. Cost: a look is one listing of the folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "concordat/core/file.hpp"
#include "concordat/ledger/ledger.hpp"

namespace concordat::ledger {

/// What became of an entry.
struct Answer {
  std::uint64_t index = 0;  ///< in the ledger; meaningless if refused
  bool found = false;       ///< it stood there before
  std::string refused{};    ///< code of the error, "ledger.conflict"; empty if it was taken
  std::string reason{};     ///< for people
  bool operator==(const Answer&) const = default;
};

struct Taken {
  std::uint64_t written = 0;
  std::uint64_t refused = 0;
  bool any() const { return written + refused > 0; }
};

class HandOver {
 public:
  using Path = FileSystem::Path;
  /// Most entries that one call of take() looks at, so that they never keep the writer from the
  /// rest of its work.
  static constexpr std::size_t max_per_call = 64;

  /// Makes the folder, or checks that it is this user's alone.
  /// @throws Error(crypto.open_permissions).
  HandOver(FileSystem& fs, Path folder);

  // ---- who hands over
  /// Durable when it returns; an entry that waits already stays as it is. Returns its name.
  /// @throws Error(ledger.malformed) unless require_as_built() passes.
  std::string put(const Entry& entry);
  static std::string name_of(const Entry& entry);
  bool waits(std::string_view name) const;
  /// @throws Error(malformed) for an answer that no writer of this format gave.
  std::optional<Answer> answer(std::string_view name) const;
  /// Removes entry and answer, in this order.
  void forget(std::string_view name);

  // ---- the writer
  /// Writes what waits into the ledger and answers. Call under the site's `border.lock`.
  Taken take(Ledger& ledger);
  /// Removes answers that nobody fetched, and what a killed process left half-written.
  void sweep();

  /// Names of the entries that wait, sorted.
  std::vector<std::string> waiting() const;
  const Path& folder() const { return folder_; }

 private:
  Path entry_path(std::string_view name) const;
  Path answer_path(std::string_view name) const;
  Entry readable(const std::string& name, const Ledger& ledger) const;
  void write_answer(const std::string& name, const Answer& answer);
  void refuse(Ledger& ledger, const std::string& name, const Error& error);

  FileSystem& fs_;
  Path folder_;
};

/// Decodes an answer. @param where for messages. @throws Error(malformed).
Answer answer_from(std::string_view text, std::string_view name, std::string_view where);
/// Decodes an entry file. @throws Error(ledger.malformed).
Entry handed_entry_from(std::string_view text, std::string_view where);

}  // namespace concordat::ledger
