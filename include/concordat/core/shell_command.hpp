// ShellCommand: a line for /bin/sh that runs beside this process.
//
//   ShellCommand submit("sbatch job.sbatch");
//   while (!submit.poll()) work();
//   if (*submit.poll() != 0) ...
//
// It reads nothing, writes where this process writes, and does not know of the batch job that this
// process is in (no SLURM_ variables but SLURM_CONF), so that a job submitted by it inherits
// nothing of this one. Destroyed or not, it runs to its end. Failure of the constructor:
// Error(io_failed). Threads: one.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace concordat {

class ShellCommand {
 public:
  explicit ShellCommand(const std::string& line);
  ShellCommand(const ShellCommand&) = delete;
  ShellCommand& operator=(const ShellCommand&) = delete;
  /// Its exit code once it has ended (128 + signal), nullopt before. Does not block.
  std::optional<int> poll();

 private:
  pid_t pid_ = 0;
  std::optional<int> code_;
};

}  // namespace concordat
