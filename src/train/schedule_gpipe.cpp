#include "concordat/train/schedule.hpp"
#include "train/stage_calls.hpp"

namespace concordat::train {

Schedule gpipe(int stages, int micro_batches) {
  require_sizes(stages, micro_batches);
  std::vector<std::vector<Call>> all;
  for (int stage = 0; stage < stages; ++stage) {
    StageCalls calls(stage, {.stages = stages});
    for (int m = 0; m < micro_batches; ++m) calls.forward(m);
    for (int m = 0; m < micro_batches; ++m) calls.backward(m);
    all.push_back(calls.take());
  }
  return {micro_batches, std::move(all)};
}

}  // namespace concordat::train
