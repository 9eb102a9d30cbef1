// MicroBatches: one rank's share of a step as tensors, made once and refilled every step.
//
//   MicroBatches batches(exec, {.sequences = share, .per_micro_batch = 4, .length = 128, .vocab =
//   V}); batches.fill(exec, 0, tokens);                 // tokens: sequences x (length + 1)
//   stage.forward(MicroBatch(0), batches[0], {});
//
// The last micro-batch may be smaller. Positions of each sequence start at 0. Where cp ranks share
// the sequences, all are given whole sequences, and each takes its runs of positions of every one
// (SequenceRuns in model/length.hpp).
#pragma once

#include <span>
#include <vector>

#include "concordat/model/layer.hpp"
#include "concordat/train/data.hpp"

namespace concordat::train {

/// A contiguous part of `total` things: lower indices get the rest.
struct Share {
  std::int64_t begin = 0;
  std::int64_t count = 0;
};
Share share_of(std::int64_t total, int parts, int index);

struct MicroBatchPlan {
  std::int64_t sequences = 0;
  std::int64_t per_micro_batch = 1;
  GlobalLength length{};
  std::int64_t vocab = 0;
  int cp = 1;  ///< ranks that share each sequence. @pre it divides the length
  int cp_rank = 0;
};

class MicroBatches {
 public:
  MicroBatches(device::Exec& exec, const MicroBatchPlan& plan);
  int count() const { return static_cast<int>(batches_.size()); }
  const model::MicroBatchTensors& operator[](int index) const;
  const std::vector<model::MicroBatchTensors>& all() const { return batches_; }
  /// Sets inputs and targets of one micro-batch from its sequences' length + 1 tokens each.
  /// @throws Error(train.bad_token) for a token outside the vocabulary.
  void fill(device::Exec& exec, int index, std::span<const std::int32_t> tokens);
  /// First sequence of a micro-batch inside this rank's share.
  std::int64_t first_sequence(int index) const { return index * plan_.per_micro_batch; }

 private:
  MicroBatchPlan plan_;
  model::SequenceRuns runs_;
  std::vector<model::MicroBatchTensors> batches_;
  std::vector<std::int32_t> inputs_;
  std::vector<std::int32_t> targets_;
};

}  // namespace concordat::train
