// A pipeline schedule as data: the calls that each stage makes in one step, in order.
//
//   Schedule one = gpipe(1, 2);                       // F0 F1 B0 W0 B1 W1: one stage sends nothing
//   Schedule all = schedule_named("zb-h1", 4, 8);     // four stages, eight micro-batches
//   ScheduleReport report = check(all);               // schedule_check.hpp: a run on paper
//   execute(all, stage, batches, mesh, exec);         // executor.hpp
//
// A schedule is a pure function of (stages, micro-batches, chunks); it knows no ranks and no
// tensors, so that it can be checked and simulated without running. B is the gradient of the input
// alone, W that of the weights: B + W is one full backward. With several chunks a stage computes
// parts of the model that lie `stages` apart (model/pipeline_split.hpp), and each call is of one.
// A part whose neighbour lies on the same stage needs no message.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/core/ids.hpp"
#include "concordat/model/pipeline_split.hpp"

namespace concordat::train {

using model::Chunk;
using model::PipelineSplit;

enum class CallKind {
  forward,
  backward_input,
  backward_weight,
  send_forward,   ///< this part's output to the next one
  recv_forward,   ///< this part's input from the previous one
  send_backward,  ///< gradient of this part's input to the previous one
  recv_backward,  ///< gradient of this part's output from the next one
};

struct Call {
  CallKind kind;
  MicroBatch micro_batch;
  Chunk chunk{};
  auto operator<=>(const Call&) const = default;
};

/// "F0", "B0", "W0", "sf0", "rf0", "sb0", "rb0"; of another chunk than the first "F0.1".
std::string to_string(const Call& call);

class Schedule {
 public:
  Schedule(int num_micro_batches, std::vector<std::vector<Call>> calls_by_stage, int chunks = 1)
      : num_micro_batches_(num_micro_batches), chunks_(chunks), calls_(std::move(calls_by_stage)) {}
  int num_stages() const { return static_cast<int>(calls_.size()); }
  int num_micro_batches() const { return num_micro_batches_; }
  PipelineSplit split() const { return {.stages = num_stages(), .chunks = chunks_}; }
  const std::vector<Call>& calls(Stage stage) const;

 private:
  int num_micro_batches_;
  int chunks_;
  std::vector<std::vector<Call>> calls_;
};

/// All forwards, then all backwards. Holds every micro-batch's activations at once.
/// Huang et al. 2019, "GPipe" (arXiv 1811.06965).
Schedule gpipe(int stages, int micro_batches);

/// Warm-up, one forward one backward, drain: stage s holds at most `stages - s` micro-batches.
/// Narayanan et al. 2021, "Efficient Large-Scale Language Model Training on GPU Clusters Using
/// Megatron-LM" (arXiv 2104.04473), section 2.2.1.
Schedule one_f_one_b(int stages, int micro_batches);

/// 1F1B over `chunks` parts a stage, in groups of `stages` micro-batches: the bubble of 1F1B
/// divided by the chunks, for as many times the messages and a little more memory. The same paper,
/// section 2.2.2. One chunk is one_f_one_b. @pre stages divides micro_batches.
Schedule interleaved_one_f_one_b(int stages, int micro_batches, int chunks);

/// Zero bubble H1: 1F1B with W put off, so that every stage holds at most `stages` micro-batches
/// (as the first stage of 1F1B does) and W fills the drain.
/// Qi et al. 2023, "Zero Bubble Pipeline Parallelism" (arXiv 2401.10241), section 2.1.
Schedule zb_h1(int stages, int micro_batches);

inline constexpr std::array<std::string_view, 4> schedule_names{"gpipe", "1f1b", "interleaved",
                                                                "zb-h1"};

/// @throws Error(train.bad_settings) for an unknown name, for chunks that the schedule has no use
/// for, and for micro-batches that it cannot deal out, naming what fits.
Schedule schedule_named(std::string_view name, int stages, int micro_batches, int chunks = 1);

/// The same refusals without making the schedule.
void require_schedule(std::string_view name, int stages, int micro_batches, int chunks = 1);

}  // namespace concordat::train
