#include "concordat/train/micro_batches.hpp"

#include <algorithm>

#include "concordat/train/errors.hpp"

namespace concordat::train {

Share share_of(std::int64_t total, int parts, int index) {
  const std::int64_t each = total / parts;
  const std::int64_t more = total % parts;
  return {index * each + std::min<std::int64_t>(index, more), each + (index < more ? 1 : 0)};
}

MicroBatches::MicroBatches(device::Exec& exec, const MicroBatchPlan& plan)
    : plan_(plan), runs_(model::sequence_runs(plan.length, plan.cp, plan.cp_rank)) {
  CONCORDAT_REQUIRE(plan.sequences > 0 && plan.per_micro_batch > 0 && plan.length.value() > 0,
                    std::to_string(plan.sequences) + " sequences");
  const model::LocalLength length = model::local_length(plan.length, plan.cp);
  for (std::int64_t first = 0; first < plan.sequences; first += plan.per_micro_batch) {
    const std::int64_t sequences = std::min(plan.per_micro_batch, plan.sequences - first);
    model::MicroBatchTensors batch;
    batch.layout = {.sequences = sequences, .length = length};
    const Shape rows{batch.layout.rows()};
    batch.tokens = exec.backend.allocate(Dtype::i32, rows);
    batch.targets = exec.backend.allocate(Dtype::i32, rows);
    batch.positions = exec.backend.allocate(Dtype::i32, rows);
    std::vector<std::int32_t> positions;
    for (const std::int64_t begin : runs_.begins) {
      for (std::int64_t i = 0; i < sequences * runs_.length; ++i) {
        positions.push_back(static_cast<std::int32_t>(begin + i % runs_.length));
      }
    }
    device::write<std::int32_t>(exec, batch.positions, positions);
    batches_.push_back(std::move(batch));
  }
}

const model::MicroBatchTensors& MicroBatches::operator[](int index) const {
  CONCORDAT_REQUIRE(index >= 0 && index < count(), std::to_string(index));
  return batches_[static_cast<std::size_t>(index)];
}

void MicroBatches::fill(device::Exec& exec, int index, std::span<const std::int32_t> tokens) {
  const model::MicroBatchTensors& batch = (*this)[index];
  const auto length = static_cast<std::size_t>(plan_.length.value());
  const auto sequences = static_cast<std::size_t>(batch.layout.sequences);
  CONCORDAT_REQUIRE(tokens.size() == sequences * (length + 1), std::to_string(tokens.size()));
  for (const std::int32_t token : tokens) {
    if (token >= 0 && token < plan_.vocab) continue;
    throw Error(errors::bad_token, {.what = "a token is outside the model's vocabulary",
                                    .where = "training data",
                                    .found = std::to_string(token),
                                    .expected = "0 to " + std::to_string(plan_.vocab - 1),
                                    .remedy = "ingest with the tokenizer of this model"});
  }
  inputs_.clear();
  targets_.clear();
  for (const std::int64_t begin : runs_.begins) {
    for (std::size_t s = 0; s < sequences; ++s) {
      // This rank's positions and, one further on, their targets.
      const auto window = tokens.subspan(s * (length + 1) + static_cast<std::size_t>(begin),
                                         static_cast<std::size_t>(runs_.length) + 1);
      inputs_.insert(inputs_.end(), window.begin(), window.end() - 1);
      targets_.insert(targets_.end(), window.begin() + 1, window.end());
    }
  }
  device::write<std::int32_t>(exec, batch.tokens, inputs_);
  device::write<std::int32_t>(exec, batch.targets, targets_);
}

}  // namespace concordat::train
