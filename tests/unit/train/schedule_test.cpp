#include "concordat/train/schedule_check.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "concordat/core/error.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/learning_rate.hpp"

namespace concordat::train {
namespace {

std::string text(const Schedule& schedule, int stage) {
  std::string all;
  for (const Call& call : schedule.calls(Stage(stage))) all += to_string(call) + " ";
  return all;
}

TEST(Schedule, OneStageHasNoMessages) {
  EXPECT_EQ(text(one_f_one_b(1, 2), 0), "F0 B0 W0 F1 B1 W1 ");
  EXPECT_EQ(text(gpipe(1, 2), 0), "F0 F1 B0 W0 B1 W1 ");
}

TEST(Schedule, OneForwardOneBackwardOfTwoStages) {
  const Schedule schedule = one_f_one_b(2, 2);
  EXPECT_EQ(text(schedule, 0), "F0 sf0 F1 sf1 rb0 B0 W0 rb1 B1 W1 ");
  EXPECT_EQ(text(schedule, 1), "rf0 F0 B0 sb0 W0 rf1 F1 B1 sb1 W1 ");
}

TEST(Schedule, EveryGeneratedScheduleRunsOnPaper) {
  for (int stages = 1; stages <= 5; ++stages) {
    for (int micro_batches = 1; micro_batches <= 9; ++micro_batches) {
      EXPECT_NO_THROW(check(gpipe(stages, micro_batches)));
      const ScheduleReport report = check(one_f_one_b(stages, micro_batches));
      for (int stage = 0; stage < stages; ++stage) {
        EXPECT_LE(report.peak_in_flight[static_cast<std::size_t>(stage)], stages - stage);
      }
    }
  }
}

TEST(Schedule, TheBubbleOfGPipeIsThatOfTheFormula) {
  // (p - 1)(F + B + W) over m (F + B + W); messages take no time. Our stages send a gradient before
  // W, so the last W overlaps with the neighbour's B: at F = B = W the bubble is smaller by that.
  const ScheduleReport coupled =
      check(gpipe(4, 8), {.forward = 1, .backward_input = 2, .backward_weight = 0});
  EXPECT_NEAR(coupled.bubble, 3.0 / 8.0, 1e-12);
  const ScheduleReport split = check(gpipe(4, 8));
  EXPECT_NEAR(split.duration, 24.0 + 3.0 + 3.0, 1e-12);
  const ScheduleReport one_by_one =
      check(one_f_one_b(4, 8), {.forward = 1, .backward_input = 2, .backward_weight = 0});
  EXPECT_NEAR(one_by_one.bubble, 3.0 / 8.0, 1e-12);
}

TEST(Schedule, BrokenSchedulesAreFound) {
  const auto f = [](CallKind kind, int m) { return Call{kind, MicroBatch(m)}; };
  const auto complaint = [](int micro_batches, std::vector<std::vector<Call>> calls) {
    try {
      check(Schedule(micro_batches, std::move(calls)));
    } catch (const Bug& bug) {
      return std::string(bug.what());
    }
    return std::string("none");
  };
  const Call F = f(CallKind::forward, 0), B = f(CallKind::backward_input, 0),
             W = f(CallKind::backward_weight, 0);
  EXPECT_EQ(complaint(1, {{F, B, W}}), "none");
  EXPECT_NE(complaint(1, {{F, F, B, W}}).find("F0 comes twice"), std::string::npos);
  EXPECT_NE(complaint(1, {{F, W, B}}).find("W0 comes before its B"), std::string::npos);
  EXPECT_NE(complaint(1, {{B, F, W}}).find("B0 comes before its forward"), std::string::npos);
  EXPECT_NE(complaint(2, {{F, B, W}}).find("F1 is missing"), std::string::npos);
  // Each of two stages waits for the other first.
  const Call sf = f(CallKind::send_forward, 0), rf = f(CallKind::recv_forward, 0),
             sb = f(CallKind::send_backward, 0), rb = f(CallKind::recv_backward, 0);
  EXPECT_NE(complaint(1, {{rb, F, sf, B, W}, {rf, F, B, sb, W}}).find("waits for ever"),
            std::string::npos);
  EXPECT_NE(complaint(1, {{F, sf, B, W}, {rf, F, B, sb, W}}).find("has no gradient"),
            std::string::npos);
}

TEST(RateSchedule, WarmsUpThenFallsToTheFloor) {
  const RateSchedule rate{.peak = 1e-2, .floor = 1e-3, .warmup_steps = 4, .total_steps = 20};
  EXPECT_DOUBLE_EQ(rate.at(0), 2.5e-3);
  EXPECT_DOUBLE_EQ(rate.at(3), 1e-2);
  EXPECT_DOUBLE_EQ(rate.at(4), 1e-2);
  EXPECT_NEAR(rate.at(12), 5.5e-3, 1e-15);
  EXPECT_NEAR(rate.at(8), 1e-3 + 0.5 * 9e-3 * (1 + std::sqrt(0.5)), 1e-15);
  EXPECT_DOUBLE_EQ(rate.at(20), 1e-3);
  EXPECT_DOUBLE_EQ(rate.at(2000), 1e-3);
  EXPECT_NEAR(rate.sum(0, 4), 2.5e-2, 1e-15);
}

TEST(RateSchedule, SettingsThatMakeNoSenseAreRefused) {
  EXPECT_THROW((RateSchedule{.peak = 1e-3, .floor = 1e-2}.validate()), Error);
  EXPECT_THROW((RateSchedule{.peak = 0.0, .floor = 0.0}.validate()), Error);
  EXPECT_THROW((RateSchedule{.total_steps = 0}.validate()), Error);
}

}  // namespace
}  // namespace concordat::train
