// A schedule's run on paper: is it right, how long does it take, what does it hold.
//
//   ScheduleReport report = check(zb_h1(4, 8));       // F = B = W = 1
//   report.duration                                   // 27
//   report.bubble                                     // 0.125: idle over busy
//   report.peak_in_flight[0]                          // 4
//
// With the times of a stage F, B and W for one micro-batch, p stages, m micro-batches and v chunks
// the time beyond m (F + B + W) is, where messages take none:
//
//   gpipe, 1f1b   (p - 1)(F + B)                with W = 0 the textbook's (p - 1) / m
//   interleaved   (p - 1)(F + B) / v            with W = 0 its (p - 1) / (m v)
//                 while (p - 2) W <= (p - 1) F + B
//   zb-h1         (p - 1) max(F, B, F + B - W)  from m = p on
//
// The first two hold for B sent before W, as all our schedules do; the textbook's B includes W. The
// third is (p - 1)(F + B - W), table 2 of Qi et al., unless W is the longest: no stage can be
// spared the wait before its first B. tests/unit/train/schedule_check_test.cpp derives and tests
// them.
#pragma once

#include <functional>
#include <vector>

#include "concordat/train/schedule.hpp"

namespace concordat::train {

/// Times of a stage's calls for one micro-batch over all its chunks, in any unit: a call of one
/// chunk takes its share. Sends and receives take none.
struct CallTimes {
  double forward = 1.0;
  double backward_input = 1.0;
  double backward_weight = 1.0;
};

/// How long a call keeps its stage busy; a message arrives when its send is done.
using CallClock = std::function<double(Stage stage, const Call& call)>;
/// @pre chunks > 0.
CallClock uniform_clock(const CallTimes& times, int chunks);

struct TimedCall {
  Call call;
  double begin = 0.0;
  double end = 0.0;
};

struct ScheduleReport {
  double duration = 0.0;  ///< until the last stage is done
  double busy = 0.0;      ///< of all stages together
  double bubble = 0.0;    ///< idle time of all stages over the busy time
  /// By stage: the most (micro-batch, chunk) pairs between F and the end of W.
  std::vector<int> peak_in_flight;
  std::vector<std::vector<TimedCall>> timeline;  ///< by stage: its F, B and W in order
};

/// Runs the schedule on paper. Sends do not block, receives do; messages of one direction between
/// two stages arrive in the order in which they were sent.
/// @throws Bug naming stage and call when a call comes twice, is missing, comes before what it
/// needs, when a receive expects another micro-batch or part than was sent, or when the stages wait
/// in a circle.
ScheduleReport check(const Schedule& schedule, const CallTimes& times = {});
ScheduleReport check(const Schedule& schedule, const CallClock& clock);

/// The largest of peak_in_flight in micro-batches of a whole stage: over the chunks.
double peak_micro_batches(const ScheduleReport& report, int chunks);

}  // namespace concordat::train
