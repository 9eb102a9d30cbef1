// A pipeline schedule as data: the calls that one stage makes in one step, in order.
//
//   Schedule one = gpipe(1, 2);       // one stage, two micro-batches: F0 F1 B0 W0 B1 W1 and no
//   sends Schedule all = one_f_one_b(4, 8); // four stages check(all);                       //
//   each F/B/W once, dependencies, sends meet receives, no deadlock execute(all.calls(Stage(2)),
//   ...) // executor.hpp
//
// A schedule is a pure function of (stages, micro-batches); it knows no ranks and no tensors, so
// that it can be checked and simulated without running. B is the gradient of the input alone, W
// that of the weights: B + W is one full backward.
#pragma once

#include <string>
#include <vector>

#include "concordat/core/ids.hpp"

namespace concordat::train {

enum class CallKind {
  forward,
  backward_input,
  backward_weight,
  send_forward,   ///< this stage's output to the next one
  recv_forward,   ///< this stage's input from the previous one
  send_backward,  ///< gradient of this stage's input to the previous one
  recv_backward,  ///< gradient of this stage's output from the next one
};

struct Call {
  CallKind kind;
  MicroBatch micro_batch;
  auto operator<=>(const Call&) const = default;
};

/// "F0", "B0", "W0", "sf0", "rf0", "sb0", "rb0".
std::string to_string(const Call& call);

class Schedule {
 public:
  Schedule(int num_micro_batches, std::vector<std::vector<Call>> calls_by_stage)
      : num_micro_batches_(num_micro_batches), calls_(std::move(calls_by_stage)) {}
  int num_stages() const { return static_cast<int>(calls_.size()); }
  int num_micro_batches() const { return num_micro_batches_; }
  const std::vector<Call>& calls(Stage stage) const;

 private:
  int num_micro_batches_;
  std::vector<std::vector<Call>> calls_;
};

/// All forwards, then all backwards. Holds every micro-batch's activations at once.
Schedule gpipe(int stages, int micro_batches);

/// Warm-up, one forward one backward, drain: stage s holds at most `stages - s` micro-batches.
Schedule one_f_one_b(int stages, int micro_batches);

/// What check() and the simulator find out by running the schedule on paper.
struct ScheduleReport {
  double duration = 0.0;            ///< of the slowest stage
  double bubble = 0.0;              ///< idle share of all stages, over the busy time
  std::vector<int> peak_in_flight;  ///< micro-batches with live activations, by stage
};

/// Times of the three calls, in any unit; sends and receives take none.
struct CallTimes {
  double forward = 1.0;
  double backward_input = 1.0;
  double backward_weight = 1.0;
};

/// Runs the schedule on paper. Sends do not block, receives do; messages between two stages arrive
/// in the order in which they were sent.
/// @throws Bug naming stage and call when a call comes twice, is missing, comes before what it
/// needs, when a receive expects another micro-batch than was sent, or when the stages wait in a
/// circle.
ScheduleReport check(const Schedule& schedule, const CallTimes& times = {});

}  // namespace concordat::train
