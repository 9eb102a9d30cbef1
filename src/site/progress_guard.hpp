// ProgressGuard: a job that a batch system brings back again and again must get further each time.
//
//   ProgressGuard guard(fs, run_folder);
//   guard.started(step, round);      // throws when the two jobs before began here and got no
//   further
//   ...
//   guard.reached_exchange();        // all that is this site's own is done: waiting is no
//   standstill guard.stopped();                 // a person ended it: says nothing about progress
//
// Written to progress.json in the run folder, durably. One rank of a job, which holds train.lock.
#pragma once

#include <cstdint>

#include "concordat/core/file.hpp"

namespace concordat::site {

class ProgressGuard {
 public:
  /// Jobs that may begin at one place and get no further.
  static constexpr std::int64_t max_idle_starts = 2;

  ProgressGuard(FileSystem& fs, const FileSystem::Path& run_folder);
  /// A job begins at this place. @throws Error(site.no_progress), exit code 76;
  /// Error(core.malformed).
  void started(std::int64_t step, std::uint32_t round);
  /// The job has come to the exchange of its round: its own steps are done and saved, and its
  /// border took note. However long it waits there for others, that is progress.
  void reached_exchange() { note("exchange"); }
  void stopped() { note("stopped"); }

 private:
  std::int64_t idle_starts() const;
  void note(const char* reached);
  void write(const char* reached);

  FileSystem& fs_;
  FileSystem::Path path_;
  std::int64_t step_ = 0;
  std::uint32_t round_ = 0;
  std::int64_t starts_ = 0;  ///< in a row that began here and got no further, this one included
};

}  // namespace concordat::site
