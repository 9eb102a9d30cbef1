// Why a long-lived role should save and leave: a signal, or a STOP file in its run folder.
//
//   install_stop_signals();                                  // once, in main
//   StopWatch watch(fs, run_folder);
//   while (watch.reason() == StopReason::none) { ... }       // at every safe point
//   if (asks_for_requeue(watch.reason())) write_atomically(fs, run_folder / "REQUEUE", {});
//   return ExitCode::saved;
//
// USR1 comes from batch systems before the time limit and asks to be run again; TERM, INT and a
// STOP file do not. Threads: any.
#pragma once

#include "concordat/core/file.hpp"

namespace concordat {

enum class StopReason { none, usr1, term, stop_file };

/// "USR1", "TERM" or "the STOP file".
std::string_view name_of(StopReason reason);

/// Catches USR1, TERM and INT and ignores PIPE. Process-wide; idempotent.
void install_stop_signals();
/// The first signal that came, or none.
StopReason stop_signal();
/// Sets or clears the signal, as its arrival would; for tests and in-process roles.
void set_stop_signal(StopReason reason);

/// True for USR1 alone: what came is the batch system's notice, not somebody's wish to end.
bool asks_for_requeue(StopReason reason);

class StopWatch {
 public:
  /// `folder` is where a STOP file is looked for; `fs` outlives this.
  StopWatch(FileSystem& fs, FileSystem::Path folder) : fs_(fs), file_(std::move(folder) / "STOP") {}
  /// Cost: one look at the file system.
  StopReason reason() const;

 private:
  FileSystem& fs_;
  FileSystem::Path file_;
};

}  // namespace concordat
