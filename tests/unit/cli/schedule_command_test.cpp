// `concordat schedule`: what it prints and what it refuses.
#include <gtest/gtest.h>

#include "cli/command.hpp"
#include "concordat/train/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::cli {
namespace {

std::string printed(const Args& args) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(schedule_command.run(args), 0);
  return testing::internal::GetCapturedStdout();
}

TEST(ScheduleCommand, DrawsAScheduleWithBubbleAndPeak) {
  EXPECT_EQ(printed({"--stages", "2", "--micro-batches=3"}),
            "1f1b: 2 stages, 3 micro-batches; F 1, B 1, W 1\n"
            "\n"
            "time 0\n"
            "stage 0 |F0 F1 .. B0 W0 F2 B1 W1 .. B2 W2 \n"
            "stage 1 |.. F0 B0 W0 F1 B1 W1 F2 B2 W2 ...\n"
            "\n"
            "time            11, of which each stage works 9\n"
            "bubble          22.22 % of the work, 18.18 % of the time\n"
            "peak in flight  2 1 micro-batches on stages 0 to 1\n");
}

TEST(ScheduleCommand, TimesAndChunksAreThoseOfTheFlags) {
  const std::string text = printed({"--stages=4", "--micro-batches=8", "--schedule=interleaved",
                                    "--chunks=2", "--backward-input=2", "--backward-weight=0"});
  EXPECT_NE(text.find("interleaved: 4 stages, 8 micro-batches, 2 chunks a stage; F 1, B 2, W 0"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("bubble          18.75 % of the work"), std::string::npos) << text;
  EXPECT_NE(text.find("peak in flight  5.5 4.5 3.5 2.5 "), std::string::npos) << text;
  EXPECT_NE(text.find("F0.1"), std::string::npos) << text;
  const std::string zero = printed({"--stages=4", "--micro-batches=8", "--schedule=zb-h1"});
  EXPECT_NE(zero.find("time            27, of which each stage works 24"), std::string::npos);
  EXPECT_NE(zero.find("peak in flight  4 4 4 4 "), std::string::npos) << zero;
}

TEST(ScheduleCommand, WhatCannotBeDrawnIsRefused) {
  const auto run = [](Args args) { schedule_command.run(args); };
  EXPECT_ERROR_SAYS(run({"--stages=4"}), errors::usage, "--micro-batches");
  EXPECT_ERROR_SAYS(run({"--micro-batches=4"}), errors::usage, "--stages");
  EXPECT_ERROR_SAYS(run({"--stages=0", "--micro-batches=4"}), errors::usage, "from 1 to 256");
  EXPECT_ERROR_SAYS(run({"--stages=4", "--micro-batches=4", "--forward=-1"}), errors::usage,
                    "--forward");
  EXPECT_ERROR_SAYS(run({"--stages=4", "--micro-batches=4", "--width=3"}), errors::usage,
                    "from 20");
  EXPECT_ERROR_SAYS(run({"--stages=4", "--micro-batches=4", "extra"}), errors::usage, "none");
  EXPECT_ERROR_SAYS(run({"--stages=4", "--micro-batches=4", "--forward=0", "--backward-input=0",
                         "--backward-weight=0"}),
                    errors::usage, "above 0");
  EXPECT_ERROR_SAYS(
      run({"--stages=4", "--micro-batches=6", "--schedule=interleaved", "--chunks=2"}),
      train::errors::bad_settings, "a multiple of 4, such as 4 or 8");
  EXPECT_ERROR_SAYS(run({"--stages=4", "--micro-batches=6", "--schedule=zigzag"}),
                    train::errors::bad_settings, "gpipe, 1f1b, interleaved or zb-h1");
}

}  // namespace
}  // namespace concordat::cli
