// Requests to stop: signals, files in a folder and the batch system's end time, in one place.
//
//   StopRequests stops(posix_files(), run_folder, system_clock());
//   while (work()) {
//     switch (stops.poll()) {
//       case StopKind::none: break;
//       case StopKind::save: save(); break;                     // a SAVE file: save and go on
//       case StopKind::stop: case StopKind::requeue: save(); return ExitCode::saved;
//     }
//   }
//
// USR1 and the time limit mean "run me again" and leave a file REQUEUE for the batch script; TERM,
// INT and a STOP file mean "stay stopped" and remove it, also when they come later: poll once more
// after the last save. STOP and SAVE files are used up. A second TERM or INT ends the process at
// once if it comes 10 to 30 seconds after the first: sooner it is taken for the same one, because a
// batch system and its launcher both deliver it, and later for a first one again. Never send TERM
// to mpirun (docs/running.md).
//
// SLURM_JOB_END_TIME is a time of the wall clock, which may be set while a job runs: it is read
// against that clock once, when the job starts, and counted on the monotonic one from there; the
// wall clock is asked too, and the earlier of both counts. So a clock that is set back makes no job
// stay too long, and one that is set forward makes it leave early once, which costs a start.
#pragma once

#include <chrono>
#include <optional>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"

namespace concordat {

enum class StopKind { none, save, stop, requeue };

/// When time is up.
struct StopLimits {
  /// Kept before SLURM_JOB_END_TIME and before the end of `walltime`.
  std::chrono::seconds margin{120};
  /// Longest run, counted from the construction; 0: no limit.
  std::chrono::seconds walltime{0};
};

class StopRequests {
 public:
  /// Installs the handlers for the whole process and removes a REQUEUE that an earlier one left.
  StopRequests(FileSystem& fs, FileSystem::Path folder, Clock& clock,
               const StopLimits& limits = {});
  /// Installs the handlers alone, so that a request that comes while a process still starts is
  /// kept and does not kill it.
  static void catch_signals();
  /// The strongest request so far; stop and requeue stay. Files are looked at 5 times a second at
  /// most, so a poll in an inner loop costs nothing.
  StopKind poll();

 private:
  bool files_are_due();
  StopKind from_files();
  bool time_is_up();
  FileSystem& fs_;
  FileSystem::Path folder_;
  Clock& clock_;
  std::optional<std::int64_t> end_unix_seconds_;
  std::optional<std::chrono::nanoseconds> end_monotonic_;  ///< of the job and of `walltime`
  std::chrono::nanoseconds next_look_{0};
  StopKind kind_ = StopKind::none;
};

}  // namespace concordat
