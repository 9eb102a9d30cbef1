// StageCalls: one stage's list with the messages that each part's place in the pipeline needs.
//
//   StageCalls calls(0, {.stages = 2});
//   calls.forward(0);                      // F0 sf0
//   calls.backward_input(0);               // rb0 B0
//   calls.backward_weight(0);              // W0
#pragma once

#include <vector>

#include "concordat/train/schedule.hpp"

namespace concordat::train {

class StageCalls {
 public:
  StageCalls(int stage, const PipelineSplit& split) : stage_(stage), split_(split) {}
  void forward(int m, int chunk = 0);
  /// The gradient goes out before the weights' own: the neighbour waits for it.
  void backward_input(int m, int chunk = 0);
  void backward_weight(int m, int chunk = 0) { add(CallKind::backward_weight, m, chunk); }
  void backward(int m, int chunk = 0) {
    backward_input(m, chunk);
    backward_weight(m, chunk);
  }
  std::vector<Call> take() { return std::move(calls_); }

 private:
  void add(CallKind kind, int m, int chunk) {
    calls_.push_back({kind, MicroBatch(m), Chunk(chunk)});
  }
  /// Whether the part before (-1) or behind (+1) the chunk's exists and is on another stage.
  bool neighbour_elsewhere(int chunk, int step) const;

  int stage_;
  PipelineSplit split_;
  std::vector<Call> calls_;
};

/// @pre of all schedules.
void require_sizes(int stages, int micro_batches, int chunks = 1);

}  // namespace concordat::train
