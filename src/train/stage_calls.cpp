#include "train/stage_calls.hpp"

#include "concordat/core/error.hpp"

namespace concordat::train {

bool StageCalls::neighbour_elsewhere(int chunk, int step) const {
  const int other = split_.part_of(stage_, Chunk(chunk)) + step;
  return other >= 0 && other < split_.num_parts() && split_.stage_of(other) != stage_;
}

void StageCalls::forward(int m, int chunk) {
  if (neighbour_elsewhere(chunk, -1)) add(CallKind::recv_forward, m, chunk);
  add(CallKind::forward, m, chunk);
  if (neighbour_elsewhere(chunk, +1)) add(CallKind::send_forward, m, chunk);
}

void StageCalls::backward_input(int m, int chunk) {
  if (neighbour_elsewhere(chunk, +1)) add(CallKind::recv_backward, m, chunk);
  add(CallKind::backward_input, m, chunk);
  if (neighbour_elsewhere(chunk, -1)) add(CallKind::send_backward, m, chunk);
}

void require_sizes(int stages, int micro_batches, int chunks) {
  CONCORDAT_REQUIRE(stages > 0 && micro_batches > 0 && chunks > 0,
                    std::to_string(stages) + " stages, " + std::to_string(micro_batches) +
                        " micro-batches, " + std::to_string(chunks) + " chunks");
}

}  // namespace concordat::train
