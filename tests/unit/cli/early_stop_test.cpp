// A batch system may tell a process to stop before it has read its configuration.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "cli/command.hpp"
#include "concordat/core/error.hpp"

namespace concordat::cli {
namespace {

/// Whether a process outlives the signals once this command has come to its configuration, which
/// is not there.
bool outlives(const Command& command, int signal) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      command.run({"nowhere.toml"});
    } catch (const Error&) {
    }
    std::raise(signal);
    ::_exit(0);
  }
  int status = 1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status == 0;
}

TEST(EarlyStop, ARequestThatComesBeforeTheConfigurationIsReadIsKept) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    EXPECT_TRUE(outlives(border_command, signal)) << signal;
    EXPECT_TRUE(outlives(coordinate_command, signal)) << signal;
  }
}

}  // namespace
}  // namespace concordat::cli
