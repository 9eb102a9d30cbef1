#include <algorithm>

#include "concordat/train/schedule.hpp"
#include "train/stage_calls.hpp"

namespace concordat::train {

Schedule zb_h1(int stages, int micro_batches) {
  require_sizes(stages, micro_batches);
  std::vector<std::vector<Call>> all;
  for (int stage = 0; stage < stages; ++stage) {
    StageCalls calls(stage, {.stages = stages});
    const int warm_up = std::min(stages - 1 - stage, micro_batches);
    // Stage s holds s fewer micro-batches before their B than the first stage, so it may hold s
    // more between B and W: with W that late, the last stage's gradients start up the pipeline one
    // W earlier a stage, and the W that are left fill the drain.
    const int put_off = stage;
    for (int m = 0; m < warm_up; ++m) calls.forward(m);
    for (int m = 0; m < micro_batches; ++m) {
      if (warm_up + m < micro_batches) calls.forward(warm_up + m);
      calls.backward_input(m);
      if (m >= put_off) calls.backward_weight(m - put_off);
    }
    for (int m = std::max(0, micro_batches - put_off); m < micro_batches; ++m) {
      calls.backward_weight(m);
    }
    all.push_back(calls.take());
  }
  return {micro_batches, std::move(all)};
}

}  // namespace concordat::train
