// Kill points: the named one kills at the counted time, every other call does nothing.
#include "concordat/core/kill_point.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace concordat {
namespace {

void pass(const char* target, int times) {
  ::setenv("CONCORDAT_KILL_AT", target, 1);
  for (int i = 0; i < times; ++i) {
    kill_point("border.other");
    kill_point("border.sealed_ready");
  }
  std::exit(0);
}

TEST(KillPoint, KillsAtTheCountedTime) {
  if (!kill_points_compiled()) GTEST_SKIP() << "this build has no kill points";
  EXPECT_EXIT(pass("border.sealed_ready:3", 3), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(pass("border.sealed_ready:3", 2), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("border.sealed_ready", 1), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(pass("border.sealed", 5), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("", 5), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace concordat
