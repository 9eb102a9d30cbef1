// Snapshot: this rank's parts of all tensors, copied out of what training goes on to change.
#pragma once

#include <atomic>
#include <vector>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

class Snapshot {
 public:
  /// Collective: allocates for these tensors, so that a job that lacks the memory ends at its
  /// start.
  void reserve(comm::Communicator& comm, const std::vector<NamedTensor>& tensors);
  /// Collective: reshards into the parts. Memory: 1 / ranks of the tensors' bytes, kept from one
  /// snapshot to the next.
  void take(comm::Communicator& comm, const std::vector<NamedTensor>& tensors);

  std::size_t size() const { return parts_.size(); }
  const std::vector<Tensor>& parts() const { return parts_; }
  /// Empty where this rank writes nothing of the tensor.
  const Tensor& part(std::size_t i) const { return parts_[i]; }
  const parallel::Slice& slice(std::size_t i) const { return slices_[i]; }

 private:
  std::vector<Tensor> parts_;
  std::vector<parallel::Slice> slices_;
};

/// Writes the parts to where `offsets` (one a tensor) say while other threads hash them; durable
/// when it returns. The leaves, tensor by tensor. Ends early with what it has once `given_up` is
/// set. Not collective.
std::vector<Digest> write_extents(FileSystem& fs, const Path& state,
                                  const std::vector<std::uint64_t>& offsets,
                                  const Snapshot& snapshot, const std::atomic<bool>& given_up);

}  // namespace concordat::checkpoint
