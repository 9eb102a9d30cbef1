#include "concordat/core/shell_command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

/// The environment without what a batch system told this job; its configuration stays.
std::vector<char*> environment_of_nobody() {
  std::vector<char*> kept;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.starts_with("SLURM_") && !text.starts_with("SLURM_CONF=")) continue;
    kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

}  // namespace

ShellCommand::ShellCommand(const std::string& line) {
  // All memory is taken before the fork: another thread may hold the allocator's lock.
  std::vector<char*> environment = environment_of_nobody();
  std::string shell = "/bin/sh", flag = "-c", words = line;
  char* const arguments[] = {shell.data(), flag.data(), words.data(), nullptr};
  pid_ = ::fork();
  if (pid_ < 0) {
    throw Error(errors::io_failed, {.what = "a command cannot be started",
                                    .where = line,
                                    .found = std::strerror(errno),
                                    .expected = "a new process",
                                    .remedy = "free memory or raise the limit of processes"});
  }
  if (pid_ > 0) return;
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(shell.c_str(), arguments, environment.data());
  ::_exit(127);
}

std::optional<int> ShellCommand::poll() {
  if (pid_ <= 0) return code_;
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0) return std::nullopt;
  pid_ = 0;
  if (ended < 0) return code_ = 127;  // somebody else took its exit code: not known to be good
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return code_;
}

}  // namespace concordat
