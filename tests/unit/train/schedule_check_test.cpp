// The run on paper: broken schedules are found, good ones take the time of the closed formulas.
#include "concordat/train/schedule_check.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "concordat/core/error.hpp"

namespace concordat::train {
namespace {

/// Every schedule that there is for a size.
template <typename Visit>
void for_each_schedule(int stages, int micro_batches, int most_chunks, Visit&& visit) {
  visit("gpipe", gpipe(stages, micro_batches));
  visit("1f1b", one_f_one_b(stages, micro_batches));
  visit("zb-h1", zb_h1(stages, micro_batches));
  if (micro_batches % stages != 0) return;
  for (int chunks = 1; chunks <= most_chunks; ++chunks) {
    visit("interleaved", interleaved_one_f_one_b(stages, micro_batches, chunks));
  }
}

std::string what_is_wrong(const Schedule& schedule) {
  try {
    check(schedule);
  } catch (const Bug& bug) {
    return bug.what();
  }
  return "nothing";
}

TEST(ScheduleCheck, EveryScheduleOfTheGridRunsAndHoldsNoMoreThanItSays) {
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 16; ++m) {
      for_each_schedule(p, m, 4, [&](const std::string& name, const Schedule& schedule) {
        const int v = schedule.split().chunks;
        SCOPED_TRACE(name + " p=" + std::to_string(p) + " m=" + std::to_string(m) +
                     " v=" + std::to_string(v));
        const ScheduleReport report = check(schedule);
        ASSERT_EQ(report.peak_in_flight.size(), static_cast<std::size_t>(p));
        for (int s = 0; s < p; ++s) {
          const int peak = report.peak_in_flight[static_cast<std::size_t>(s)];
          if (name == "gpipe") {
            EXPECT_EQ(peak, m);
          } else if (name == "zb-h1") {
            EXPECT_EQ(peak, std::min(p, m)) << "stage " << s;
          } else if (v == 1) {
            EXPECT_EQ(peak, std::min(p - s, m)) << "stage " << s;
          } else {
            EXPECT_EQ(peak, std::min(2 * (p - 1 - s) + (v - 1) * p + 1, m * v)) << "stage " << s;
          }
          EXPECT_EQ(report.timeline[static_cast<std::size_t>(s)].size(),
                    static_cast<std::size_t>(3 * m * v));
        }
        EXPECT_NEAR(report.busy, 3.0 * m * p, 1e-9);
      });
    }
  }
}

TEST(ScheduleCheck, ZeroBubbleH1HoldsNoMoreThan1F1BOnItsBusiestStage) {
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 16; ++m) {
      EXPECT_EQ(peak_micro_batches(check(zb_h1(p, m)), 1),
                peak_micro_batches(check(one_f_one_b(p, m)), 1));
    }
  }
}

// What each schedule adds to the work m (F + B + W), with messages that take no time.
//
// gpipe, 1f1b: the first micro-batch reaches the last stage after (p - 1) F; from then on that
// stage works without a break; its last B comes W before its end, goes up the p - 1 stages at B
// each, and stage 0 ends with its own W: (p - 1) F + m (F + B + W) - W + (p - 1) B + W. Stage s > 0
// never holds it up, since it needs a micro-batch's B + W between two gradients that come F + B + W
// (1F1B) or B + W (GPipe) apart. Narayanan et al. (arXiv 2104.04473, section 2.2.1) count (p -
// 1)(t_f + t_b) with t_b the whole backward, whose end the stage before awaits: our B with W = 0.
// GPipe (arXiv 1811.06965, section 2.3): O((p - 1) / (m + p - 1)) of the time.
//
// interleaved: the same with calls of 1 / v of the time (section 2.2.2: (p - 1)(t_f + t_b) / v).
// With more than one group of micro-batches stage 0 also waits for what the last stage hands back:
// its turn k, in a later chunk than the first, for turn k - p there. Its last forward comes so late
// that the B and W behind it end (p - 2)(B + W) / v after the work's time; that is the longer wait
// only where W is very long, (p - 2) W > (p - 1) F + B.
//
// zb-h1: the last stage puts p - 1 more W behind its last B, so that B goes up (p - 1) W earlier:
// (p - 1)(F + B - W), table 2 of Qi et al. (arXiv 2401.10241), who take F = B = W. It cannot be
// less than the waits before the first B: stage s gets its first micro-batch after s F, has done p
// - s forwards when it awaits the first gradient, and that comes p F + (p - 1 - s) B after the
// start: it has waited s F + (p - 1 - s) B, which is (p - 1) F at the last stage and (p - 1) B at
// stage 0.
double expected_extra(const std::string& name, int p, int m, int v, const CallTimes& t) {
  const double f = t.forward, b = t.backward_input, w = t.backward_weight;
  if (name == "zb-h1") return (p - 1) * std::max({f, b, f + b - w});
  const double waits_for_turns = v > 1 && m > p ? (p - 2) * (b + w) : 0.0;
  return std::max((p - 1) * (f + b), waits_for_turns) / v;
}

TEST(ScheduleCheck, TheTimeIsThatOfTheClosedFormulas) {
  const CallTimes of_interest[] = {{1, 1, 1},       {1, 2, 0},   {1, 1.25, 0.75},
                                   {1, 0.75, 1.25}, {1.5, 1, 1}, {0.5, 1, 1}};
  for (const CallTimes& times : of_interest) {
    for (int p = 1; p <= 8; ++p) {
      for (int m = 1; m <= 16; ++m) {
        for_each_schedule(p, m, 4, [&](const std::string& name, const Schedule& schedule) {
          if (name == "zb-h1" && m < p) return;
          const int v = schedule.split().chunks;
          const double work = m * (times.forward + times.backward_input + times.backward_weight);
          const ScheduleReport report = check(schedule, times);
          EXPECT_NEAR(report.duration - work, expected_extra(name, p, m, v, times), 1e-9)
              << name << " p=" << p << " m=" << m << " v=" << v << " F=" << times.forward
              << " B=" << times.backward_input << " W=" << times.backward_weight;
          EXPECT_NEAR(report.bubble, expected_extra(name, p, m, v, times) / work, 1e-9);
        });
      }
    }
  }
}

TEST(ScheduleCheck, TheBubblesOfThePapersAtFourStagesAndEightMicroBatches) {
  const CallTimes coupled{.forward = 1, .backward_input = 2, .backward_weight = 0};
  EXPECT_NEAR(check(gpipe(4, 8), coupled).bubble, 3.0 / 8.0, 1e-12);
  EXPECT_NEAR(check(one_f_one_b(4, 8), coupled).bubble, 3.0 / 8.0, 1e-12);
  EXPECT_NEAR(check(interleaved_one_f_one_b(4, 8, 2), coupled).bubble, 3.0 / 16.0, 1e-12);
  // A third of the 9 that 1F1B with whole backwards would have (Qi et al., section 2.1).
  EXPECT_NEAR(check(zb_h1(4, 8)).duration, 24.0 + 3.0, 1e-12);
}

TEST(ScheduleCheck, ACallThatIsLeftOutOrDoubledIsFoundWhicheverItIs) {
  for (const auto& [p, m] : {std::pair{1, 2}, std::pair{2, 4}, std::pair{3, 3}}) {
    for_each_schedule(p, m, 3, [&, p = p, m = m](const std::string& name, const Schedule& good) {
      std::vector<std::vector<Call>> calls;
      for (int s = 0; s < p; ++s) calls.push_back(good.calls(Stage(s)));
      const int v = good.split().chunks;
      for (std::size_t s = 0; s < calls.size(); ++s) {
        for (std::size_t i = 0; i < calls[s].size(); ++i) {
          const auto at = static_cast<std::ptrdiff_t>(i);
          auto less = calls;
          less[s].erase(less[s].begin() + at);
          EXPECT_NE(what_is_wrong(Schedule(m, less, v)), "nothing")
              << name << ": without " << to_string(calls[s][i]) << " of stage " << s;
          auto more = calls;
          more[s].insert(more[s].begin() + at, calls[s][i]);
          EXPECT_NE(what_is_wrong(Schedule(m, more, v)), "nothing")
              << name << ": with two " << to_string(calls[s][i]) << " of stage " << s;
        }
      }
    });
  }
}

TEST(ScheduleCheck, TheComplaintNamesStageAndCall) {
  const auto f = [](CallKind kind, int m, int chunk = 0) {
    return Call{kind, MicroBatch(m), Chunk(chunk)};
  };
  const auto complaint = [](int m, std::vector<std::vector<Call>> calls, int chunks = 1) {
    return what_is_wrong(Schedule(m, std::move(calls), chunks));
  };
  const Call F = f(CallKind::forward, 0), B = f(CallKind::backward_input, 0),
             W = f(CallKind::backward_weight, 0);
  EXPECT_EQ(complaint(1, {{F, B, W}}), "nothing");
  EXPECT_NE(complaint(1, {{F, F, B, W}}).find("F0 comes twice"), std::string::npos);
  EXPECT_NE(complaint(1, {{F, W, B}}).find("W0 comes before its B"), std::string::npos);
  EXPECT_NE(complaint(1, {{B, F, W}}).find("B0 comes before its forward"), std::string::npos);
  EXPECT_NE(complaint(2, {{F, B, W}}).find("F1 is missing"), std::string::npos);
  EXPECT_NE(complaint(1, {{F, B, W, f(CallKind::forward, 1)}}).find("F1 is of no micro-batch"),
            std::string::npos);
  // Each of two stages waits for the other first.
  const Call sf = f(CallKind::send_forward, 0), rf = f(CallKind::recv_forward, 0),
             sb = f(CallKind::send_backward, 0), rb = f(CallKind::recv_backward, 0);
  EXPECT_NE(complaint(1, {{rb, F, sf, B, W}, {rf, F, B, sb, W}}).find("rb0 waits for ever"),
            std::string::npos);
  EXPECT_NE(complaint(1, {{F, sf, B, W}, {rf, F, B, sb, W}}).find("has no gradient"),
            std::string::npos);
  // Two micro-batches that arrive in another order than they are awaited.
  const Call F1 = f(CallKind::forward, 1), sf1 = f(CallKind::send_forward, 1),
             rf1 = f(CallKind::recv_forward, 1);
  EXPECT_NE(complaint(2, {{F, F1, sf1, sf}, {rf, F, rf1, F1}})
                .find("stage 1: rf0 meets a message of another micro-batch"),
            std::string::npos);
  // Two chunks on one stage: the second takes the first one's output, and no message.
  const Call G = f(CallKind::forward, 0, 1), C = f(CallKind::backward_input, 0, 1),
             X = f(CallKind::backward_weight, 0, 1);
  EXPECT_EQ(complaint(1, {{F, G, C, B, X, W}}, 2), "nothing");
  EXPECT_NE(complaint(1, {{G, F, C, B, X, W}}, 2).find("F0.1 has no input"), std::string::npos);
  EXPECT_NE(complaint(1, {{F, G, B, C, X, W}}, 2).find("B0 has no gradient"), std::string::npos);
  EXPECT_NE(complaint(1, {{F, G, C, B, W}}, 2).find("W0.1 is missing"), std::string::npos);
  EXPECT_NE(complaint(1, {{F, f(CallKind::recv_forward, 0, 1), G, C, B, W, X}}, 2)
                .find("rf0.1 has no previous stage"),
            std::string::npos);
}

TEST(ScheduleCheck, StagesOfUnlikeTimesAndSlowMessagesAreCounted) {
  // Two stages, one micro-batch; the second is twice as slow; a message keeps its sender busy for
  // 10 and its receiver for 1.
  const ScheduleReport report =
      check(one_f_one_b(2, 1), [](Stage stage, const Call& call) -> double {
        if (call.kind == CallKind::send_forward || call.kind == CallKind::send_backward) return 10;
        if (call.kind == CallKind::recv_forward || call.kind == CallKind::recv_backward) return 1;
        return stage.value() + 1;
      });
  // F 1, sf 11, rf 12, F 14, B 16, sb 26, rb 27, B 28, W 29; meanwhile stage 1 does W until 28.
  EXPECT_DOUBLE_EQ(report.duration, 29.0);
  EXPECT_DOUBLE_EQ(report.busy, (3 + 10 + 1) + (6 + 10 + 1));
  EXPECT_DOUBLE_EQ(report.timeline[1].back().end, 28.0);
}

}  // namespace
}  // namespace concordat::train
