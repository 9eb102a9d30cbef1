// Batches: pieces of datasets that move between their holders and the ranks' parts with one plan.
// Hundreds of small tensors then cost a few collectives, and a large one moves window by window.
#pragma once

#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/parallel/reshard.hpp"

namespace concordat::checkpoint {

/// `count` elements from element `begin` on of every rank's part of a dataset, or as many as the
/// part has: whole blocks.
struct Window {
  std::size_t dataset = 0;
  std::int64_t begin = 0;
  std::int64_t count = 0;
  bool whole = true;  ///< all of the dataset, on all ranks
};

/// Windows of tensors of one element width, of 8 MiB a rank together (16 if the rank is alone).
using Batch = std::vector<Window>;
/// All of all tensors: the windows of one are in order, in one batch or in batches in order.
std::vector<Batch> batches_of(const std::vector<NamedTensor>& tensors, int num_ranks);

/// What of a dataset a window is on a rank.
parallel::Slice slice_of(const Window& window, const Shape& shape, int rank, int num_ranks);

/// The window's part of this rank's part of the dataset; empty where there is none.
Tensor view_of(const Tensor& part, const Window& window);

/// This rank's pieces of a batch; a piece without elements is an empty Tensor.
class BatchParts {
 public:
  /// `parts` are as long as the windows on this rank. `tensors` must outlive it.
  BatchParts(comm::Communicator& comm, const std::vector<NamedTensor>& tensors, const Batch& batch,
             std::vector<Tensor> parts);

  /// Collective: from the owners into the parts.
  void collect();
  /// Collective: from the parts to all holders.
  void distribute();

 private:
  std::vector<parallel::Segment> segments_of_parts() const;
  std::vector<parallel::Segment> segments_of_local(const Window& window, bool owned) const;
  std::vector<parallel::Segment> segments_of_locals(bool owned) const;
  std::vector<Tensor> locals() const;
  const NamedTensor& tensor_of(const Window& window) const { return tensors_[window.dataset]; }

  comm::Communicator& comm_;
  const std::vector<NamedTensor>& tensors_;
  const Batch& batch_;
  std::vector<Tensor> parts_;
};

/// The elements of `segment` in [begin, end), as segments.
std::vector<parallel::Segment> restricted(const parallel::Segment& segment, std::int64_t begin,
                                          std::int64_t end);

}  // namespace concordat::checkpoint
