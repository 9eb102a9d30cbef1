// SiteRecorder: how a process that is not the site's border gets an entry into the site's ledger.
// It writes itself while nobody holds `border.lock`, and hands over to the holder otherwise.
//
//   SiteRecorder recorder(fs, "alba", "ingest", [&](const SiteRecorder::Work& work) {
//     Ledger ledger = Ledger::open(...);                    // keys are read for this moment only
//     work(ledger);
//   });
//   std::optional<Answer> answer = recorder.record(entry);    // durable, here or with the border
//   while (!answer) { clock.sleep(pause); answer = recorder.look(entry); }
//   answer->index;
//
// Without a way to open the ledger (ranks of a federated run, which hold no log key) it only hands
// over. Killed at any moment, the same call repeated ends with the same index: hand_over.hpp.
// Threads: one per object. Failure: Error(ledger.conflict | not_taken) when the entry was turned
// away, and what the ledger and the file seam throw.
#pragma once

#include <functional>
#include <map>

#include "concordat/core/clock.hpp"
#include "concordat/ledger/hand_over.hpp"

namespace concordat::ledger {

class SiteRecorder {
 public:
  using Work = std::function<void(Ledger&)>;
  using WithLedger = std::function<void(const Work&)>;

  /// `role` names this process in the lock while it writes.
  SiteRecorder(FileSystem& fs, FileSystem::Path site_folder, std::string role,
               WithLedger with_ledger = {});

  /// Durable when it returns: in the ledger (the answer), or handed over (nullopt).
  std::optional<Answer> record(const Entry& entry);
  /// The answer to an entry that was handed over, as soon as there is one; also by writing it here
  /// if the writer is gone. Gives each answer once.
  std::optional<Answer> look(const Entry& entry);
  /// Looks at everything that record() handed over; true when all of it has its index.
  bool settled();

  /// The line of who writes the ledger now; nullopt if nobody does.
  std::optional<std::string> writer() const;
  /// Where entries wait, and where STOP is looked for while waiting.
  const FileSystem::Path& folder() const { return desk_.folder(); }

 private:
  std::optional<Answer> write_here(const Entry& entry);

  FileSystem::Path lock_path_;
  std::string role_;
  WithLedger with_ledger_;
  HandOver desk_;
  std::map<std::string, Entry> out_;  ///< handed over and not answered, by name
};

/// Takes `border.lock` for the border. Others hold it for the moment of one entry: those are waited
/// for, up to ten seconds. @throws Error(in_use) when another border runs.
RoleLock take_writer_lock(const FileSystem::Path& site_folder, Clock& clock);

}  // namespace concordat::ledger
