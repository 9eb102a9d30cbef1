#include "concordat/core/shell_command.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace concordat {
namespace {

int ended(const std::string& line) {
  ShellCommand command(line);
  while (!command.poll()) std::this_thread::yield();
  EXPECT_EQ(command.poll(), command.poll());
  return *command.poll();
}

TEST(ShellCommand, KnowsHowItsLineEnded) {
  EXPECT_EQ(ended("exit 0"), 0);
  EXPECT_EQ(ended("exit 3"), 3);
  EXPECT_EQ(ended("kill -TERM $$"), 128 + SIGTERM);
}

// Its caller submits again what it does not know to have been submitted.
TEST(ShellCommand, AnExitCodeThatSomebodyElseTookIsNotGood) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGCHLD, SIG_IGN);  // the system takes all exit codes
    ::_exit(ended("exit 0") == 127 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace concordat
