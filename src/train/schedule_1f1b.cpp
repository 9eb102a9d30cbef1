#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/train/schedule.hpp"
#include "train/stage_calls.hpp"

namespace concordat::train {

Schedule one_f_one_b(int stages, int micro_batches) {
  require_sizes(stages, micro_batches);
  std::vector<std::vector<Call>> all;
  for (int stage = 0; stage < stages; ++stage) {
    StageCalls calls(stage, {.stages = stages});
    const int warm_up = std::min(stages - 1 - stage, micro_batches);
    for (int m = 0; m < warm_up; ++m) calls.forward(m);
    for (int m = 0; m < micro_batches; ++m) {
      if (warm_up + m < micro_batches) calls.forward(warm_up + m);
      calls.backward(m);
    }
    all.push_back(calls.take());
  }
  return {micro_batches, std::move(all)};
}

Schedule interleaved_one_f_one_b(int stages, int micro_batches, int chunks) {
  require_sizes(stages, micro_batches, chunks);
  CONCORDAT_REQUIRE(
      micro_batches % stages == 0,
      std::to_string(micro_batches) + " micro-batches over " + std::to_string(stages) + " stages");
  if (chunks == 1) return one_f_one_b(stages, micro_batches);
  // Groups of `stages` micro-batches go through a stage's first chunk, then its second, and so on;
  // when the last stage hands the group's first micro-batch back to stage 0, its next chunk's turn
  // has just come. Backward the same from the last chunk to the first.
  const int total = micro_batches * chunks;
  const auto micro_batch = [&](int turn) {
    return turn / (stages * chunks) * stages + turn % stages;
  };
  const auto chunk = [&](int turn) { return turn / stages % chunks; };
  std::vector<std::vector<Call>> all;
  for (int stage = 0; stage < stages; ++stage) {
    StageCalls calls(stage, {.stages = stages, .chunks = chunks});
    // The way down and up again is two turns a stage behind this one; before the first gradient of
    // the last chunk, the first group has to be through all the chunks before it.
    const int warm_up = std::min(2 * (stages - 1 - stage) + (chunks - 1) * stages, total);
    for (int turn = 0; turn < warm_up; ++turn) calls.forward(micro_batch(turn), chunk(turn));
    for (int turn = 0; turn < total; ++turn) {
      const int ahead = warm_up + turn;
      if (ahead < total) calls.forward(micro_batch(ahead), chunk(ahead));
      calls.backward(micro_batch(turn), chunks - 1 - chunk(turn));
    }
    all.push_back(calls.take());
  }
  return {micro_batches, std::move(all), chunks};
}

}  // namespace concordat::train
