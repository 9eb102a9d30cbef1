// Batches: datasets that move between their holders and the ranks' parts with one plan. Hundreds
// of small tensors then cost a few collectives, and a large one still moves alone.
#pragma once

#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/parallel/reshard.hpp"

namespace concordat::checkpoint {

/// Indices of tensors of one element width, at most 64 MiB together unless it is one.
using Batch = std::vector<std::size_t>;
std::vector<Batch> batches_of(const std::vector<NamedTensor>& tensors);

/// This rank's parts of the datasets of a batch; a part without elements is an empty Tensor.
class BatchParts {
 public:
  /// Allocates the parts. `tensors` must outlive it.
  BatchParts(comm::Communicator& comm, const std::vector<NamedTensor>& tensors, Batch batch);
  /// With parts of the caller, as the other constructor would allocate them.
  BatchParts(comm::Communicator& comm, const std::vector<NamedTensor>& tensors, Batch batch,
             std::vector<Tensor> parts);

  std::size_t size() const { return batch_.size(); }
  std::size_t dataset(std::size_t i) const { return batch_[i]; }
  const parallel::Slice& slice(std::size_t i) const { return slices_[i]; }
  const Tensor& part(std::size_t i) const { return parts_[i]; }

  /// Collective: from the owners into the parts.
  void collect();
  /// Collective: from the parts to all holders.
  void distribute();

 private:
  std::vector<parallel::Segment> segments_of_parts() const;
  std::vector<parallel::Segment> segments_of_locals(bool owned) const;
  std::vector<Tensor> locals() const;

  comm::Communicator& comm_;
  const std::vector<NamedTensor>& tensors_;
  Batch batch_;
  std::vector<parallel::Slice> slices_;
  std::vector<Tensor> parts_;
};

}  // namespace concordat::checkpoint
