// BringBack: the border submits the training job again that left while others worked.
//
//   BringBack back(fs, clock, run_folder, "sbatch job.sbatch");
//   while (loop.turn()) back.look(position);         // does not block
//
// A job under train.exit_between_rounds that would wait leaves a file WAITING with its exchange and
// ends. When the exchange is closed here, or everybody is ready and the ranks can mask, and no
// training job holds train.lock, WAITING becomes WAITING.taken and the command runs: once for each
// time a job left. If it fails it is tried again after a pause that grows from 5 s to 5 minutes. A
// border killed before it saw the command's success runs it twice; of two jobs of one run the
// second finds train.lock, or the work done.
#pragma once

#include <optional>
#include <string>

#include "concordat/core/clock.hpp"
#include "concordat/core/shell_command.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

/// run folder/WAITING: "R.F.A" and a line end.
FileSystem::Path waiting_file(const FileSystem::Path& run_folder);

class BringBack {
 public:
  /// Without a command it does nothing.
  BringBack(FileSystem& fs, Clock& clock, const FileSystem::Path& run_folder, std::string command);
  /// `masking`: the exchange in which the ranks can mask now, as R.F.A; empty if there is none.
  void look(const std::string& masking);

 private:
  void ended(int code);
  /// Whether a job left that can go on now.
  bool due(const std::string& masking) const;

  FileSystem& fs_;
  Clock& clock_;
  FileSystem::Path run_folder_, taken_;
  std::string command_;
  std::optional<ShellCommand> running_;
  std::chrono::nanoseconds next_look_{0};
  std::chrono::nanoseconds pause_{0};
};

}  // namespace concordat::site
