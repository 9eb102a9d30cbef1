#include "concordat/train/schedule.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "concordat/core/error.hpp"
#include "concordat/train/errors.hpp"
#include "concordat/train/learning_rate.hpp"
#include "concordat/train/schedule_drawing.hpp"

namespace concordat::train {
namespace {

std::string text(const Schedule& schedule, int stage) {
  std::string all;
  for (const Call& call : schedule.calls(Stage(stage))) all += to_string(call) + " ";
  return all;
}

/// F, B and W alone.
std::string work(const Schedule& schedule, int stage) {
  std::string all;
  for (const Call& call : schedule.calls(Stage(stage))) {
    if (call.kind <= CallKind::backward_weight) all += to_string(call) + " ";
  }
  return all;
}

TEST(Schedule, OneStageHasNoMessages) {
  EXPECT_EQ(text(one_f_one_b(1, 2), 0), "F0 B0 W0 F1 B1 W1 ");
  EXPECT_EQ(text(gpipe(1, 2), 0), "F0 F1 B0 W0 B1 W1 ");
  EXPECT_EQ(text(zb_h1(1, 2), 0), "F0 B0 W0 F1 B1 W1 ");
  EXPECT_EQ(text(interleaved_one_f_one_b(1, 1, 2), 0), "F0 F0.1 B0.1 W0.1 B0 W0 ");
}

TEST(Schedule, OneForwardOneBackwardOfTwoStages) {
  const Schedule schedule = one_f_one_b(2, 2);
  EXPECT_EQ(text(schedule, 0), "F0 sf0 F1 sf1 rb0 B0 W0 rb1 B1 W1 ");
  EXPECT_EQ(text(schedule, 1), "rf0 F0 B0 sb0 W0 rf1 F1 B1 sb1 W1 ");
}

TEST(Schedule, ZeroBubbleH1PutsWOffByTheStage) {
  const Schedule schedule = zb_h1(3, 4);
  EXPECT_EQ(work(schedule, 0), "F0 F1 F2 B0 W0 F3 B1 W1 B2 W2 B3 W3 ");
  EXPECT_EQ(work(schedule, 1), "F0 F1 B0 F2 B1 W0 F3 B2 W1 B3 W2 W3 ");
  EXPECT_EQ(work(schedule, 2), "F0 B0 F1 B1 F2 B2 W0 F3 B3 W1 W2 W3 ");
}

TEST(Schedule, InterleavedStagesTakeTheirChunksInTurns) {
  const Schedule schedule = interleaved_one_f_one_b(2, 4, 2);
  EXPECT_EQ(work(schedule, 0),
            "F0 F1 F0.1 F1.1 F2 B0.1 W0.1 F3 B1.1 W1.1 F2.1 B0 W0 F3.1 B1 W1 "
            "B2.1 W2.1 B3.1 W3.1 B2 W2 B3 W3 ");
  EXPECT_EQ(text(schedule, 1).substr(0, 54),
            "rf0 F0 sf0 rf1 F1 sf1 rf0.1 F0.1 B0.1 sb0.1 W0.1 rf1.1");
  EXPECT_EQ(text(interleaved_one_f_one_b(3, 3, 1), 1), text(one_f_one_b(3, 3), 1));
}

TEST(Schedule, NamesMakeTheSchedulesAndRefusalsSayWhatFits) {
  EXPECT_EQ(text(schedule_named("1f1b", 2, 3), 1), text(one_f_one_b(2, 3), 1));
  EXPECT_EQ(text(schedule_named("gpipe", 2, 3), 1), text(gpipe(2, 3), 1));
  EXPECT_EQ(text(schedule_named("zb-h1", 2, 3), 1), text(zb_h1(2, 3), 1));
  EXPECT_EQ(text(schedule_named("interleaved", 2, 4, 2), 1),
            text(interleaved_one_f_one_b(2, 4, 2), 1));
  const auto refusal = [](const char* name, int stages, int micro_batches, int chunks) {
    try {
      schedule_named(name, stages, micro_batches, chunks);
    } catch (const Error& error) {
      const auto& f = error.fields();
      EXPECT_FALSE(f.where.empty() || f.found.empty() || f.remedy.empty()) << error.what();
      return std::string(error.code().name) + ": " + f.expected;
    }
    return std::string("none");
  };
  EXPECT_EQ(refusal("zigzag", 2, 2, 1), "train.bad_settings: gpipe, 1f1b, interleaved or zb-h1");
  EXPECT_EQ(refusal("zb-h1", 2, 4, 2), "train.bad_settings: chunks = 1");
  EXPECT_EQ(refusal("interleaved", 4, 8, 1),
            "train.bad_settings: 2 chunks or more; with one it would be 1f1b");
  EXPECT_EQ(refusal("interleaved", 4, 10, 2),
            "train.bad_settings: a multiple of 4, such as 8 or 12");
  EXPECT_EQ(refusal("interleaved", 4, 3, 2), "train.bad_settings: a multiple of 4, such as 4");
  EXPECT_EQ(refusal("1f1b", 2, 0, 1), "train.bad_settings: at least one of each");
}

TEST(ScheduleDrawing, TimeGoesAlongTheLineAndWaitsAreDots) {
  EXPECT_EQ(draw(check(one_f_one_b(2, 3)), 100),
            "time 0\n"
            "stage 0 |F0 F1 .. B0 W0 F2 B1 W1 .. B2 W2 \n"
            "stage 1 |.. F0 B0 W0 F1 B1 W1 F2 B2 W2 ...\n");
  EXPECT_EQ(
      draw(check(one_f_one_b(2, 1), {.forward = 1, .backward_input = 2, .backward_weight = 0}),
           100),
      "time 0\n"
      "stage 0 |F0 ........ B0    \n"
      "stage 1 |.. F0 B0    ......\n");
}

TEST(ScheduleDrawing, LongOnesAreCutIntoPanelsBetweenCalls) {
  const std::string drawn = draw(check(gpipe(2, 4)), 30);
  EXPECT_EQ(drawn,
            "time 0\n"
            "stage 0 |F0 F1 F2 F3 ..... B0 \n"
            "stage 1 |.. F0 F1 F2 F3 B0 W0 \n"
            "\n"
            "time 7\n"
            "stage 0 |W0 B1 W1 B2 W2 B3 W3 \n"
            "stage 1 |B1 W1 B2 W2 B3 W3 ...\n");
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

TEST(RateSchedule, WsdStaysAtThePeakAndFallsInTheLastPart) {
  const RateSchedule rate{.peak = 1e-2,
                          .floor = 1e-3,
                          .warmup_steps = 4,
                          .total_steps = 40,
                          .shape = RateShape::wsd,
                          .decay_share = 0.4};
  EXPECT_EQ(rate.at(0), 2.5e-3);
  for (const int step : {3, 4, 10, 23, 24}) EXPECT_EQ(rate.at(step), 1e-2) << step;
  EXPECT_LT(rate.at(25), 1e-2);
  EXPECT_EQ(rate.at(28), 1e-2 - (1e-2 - 1e-3) * 0.5);  // a quarter of the decay: its root is a half
  EXPECT_EQ(rate.at(33), 1e-2 - (1e-2 - 1e-3) * 0.75);  // nine sixteenths
  EXPECT_EQ(rate.at(40), 1e-3);
  for (int step = 24; step < 45; ++step) EXPECT_LE(rate.at(step + 1), rate.at(step)) << step;
}

TEST(RateSchedule, AWsdDecayNeverCutsTheWarmUp) {
  RateSchedule rate{.peak = 1.0, .floor = 0.0, .warmup_steps = 6, .total_steps = 8};
  rate.shape = RateShape::wsd;
  rate.decay_share = 1.0;
  EXPECT_EQ(rate.at(5), 1.0);
  EXPECT_EQ(rate.at(6), 1.0);
  EXPECT_EQ(rate.at(7), 1.0 - std::sqrt(0.5));
  rate.decay_share = 0.0;  // no decay: the peak to the end
  EXPECT_EQ(rate.at(7), 1.0);
}

TEST(RateSchedule, SummedRatesAreTheSameBitsEverywhere) {
  // They scale round 0 of a federation: written down, not computed by this machine's libm.
  RateSchedule rate{.peak = 3e-3, .floor = 3e-4, .warmup_steps = 20, .total_steps = 360};
  EXPECT_EQ(std::bit_cast<std::uint64_t>(rate.sum(0, 60)), 0x3fc33dd2512e859cU);
  rate.shape = RateShape::wsd;
  EXPECT_EQ(std::bit_cast<std::uint64_t>(rate.sum(0, 360)), 0x3fed8bcb081d5f9dU);
}

TEST(RateSchedule, NamesAreThoseOfTheConfiguration) {
  EXPECT_EQ(rate_shape_named("cosine"), RateShape::cosine);
  EXPECT_EQ(rate_shape_named("wsd"), RateShape::wsd);
  EXPECT_THROW(rate_shape_named("WSD"), Error);
}

TEST(RateSchedule, SettingsThatMakeNoSenseAreRefused) {
  EXPECT_THROW((RateSchedule{.peak = 1e-3, .floor = 1e-2}.validate()), Error);
  EXPECT_THROW((RateSchedule{.peak = 0.0, .floor = 0.0}.validate()), Error);
  EXPECT_THROW((RateSchedule{.total_steps = 0}.validate()), Error);
  EXPECT_THROW((RateSchedule{.decay_share = 1.5}.validate()), Error);
}

}  // namespace
}  // namespace concordat::train
