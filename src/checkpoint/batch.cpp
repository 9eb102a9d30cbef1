#include "checkpoint/batch.hpp"

#include <map>

#include "checkpoint/extents.hpp"

namespace concordat::checkpoint {

namespace {

constexpr std::size_t batch_bytes = std::size_t{64} << 20U;

std::size_t bytes_of(const NamedTensor& tensor) {
  return static_cast<std::size_t>(num_elements(tensor.shape)) * size_of(tensor.dtype);
}

}  // namespace

std::vector<Batch> batches_of(const std::vector<NamedTensor>& tensors) {
  std::vector<Batch> batches;
  std::map<std::size_t, std::pair<std::size_t, std::size_t>> open;  // width: batch, its bytes
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::size_t bytes = bytes_of(tensors[i]);
    auto found = open.find(size_of(tensors[i].dtype));
    if (found == open.end() || found->second.second + bytes > batch_bytes) {
      batches.emplace_back();
      found = open.insert_or_assign(size_of(tensors[i].dtype), std::pair(batches.size() - 1, 0UL))
                  .first;
    }
    batches[found->second.first].push_back(i);
    found->second.second += bytes;
  }
  return batches;
}

BatchParts::BatchParts(comm::Communicator& comm, const std::vector<NamedTensor>& tensors,
                       Batch batch)
    : BatchParts(comm, tensors, std::move(batch), {}) {
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    const auto count = slices_[i].count();
    parts_.push_back(count > 0 ? host_tensor(tensors_[batch_[i]].dtype, {count}) : Tensor());
  }
}

BatchParts::BatchParts(comm::Communicator& comm, const std::vector<NamedTensor>& tensors,
                       Batch batch, std::vector<Tensor> parts)
    : comm_(comm), tensors_(tensors), batch_(std::move(batch)), parts_(std::move(parts)) {
  for (const std::size_t index : batch_) {
    slices_.push_back(part_of(index, tensors_[index].shape, comm.rank(), comm.size()));
  }
}

// The datasets of a batch stand one behind the other in a canonical space of their own, the parts
// and the local tensors likewise in local flat spaces.

std::vector<parallel::Segment> BatchParts::segments_of_parts() const {
  std::vector<parallel::Segment> all;
  std::int64_t base = 0;
  std::int64_t local = 0;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    const auto& slice = slices_[i];
    if (slice.count() > 0) all.push_back({base + slice.begin, slice.count(), 1, 0, local, 0});
    local += slice.count();
    base += num_elements(tensors_[batch_[i]].shape);
  }
  return all;
}

std::vector<parallel::Segment> BatchParts::segments_of_locals(bool owned) const {
  std::vector<parallel::Segment> all;
  std::int64_t base = 0;
  std::int64_t local = 0;
  for (std::size_t index : batch_) {
    const auto& tensor = tensors_[index];
    for (parallel::Segment segment : owned ? tensor.owned : tensor.held) {
      segment.begin += base;
      segment.local_begin += local;
      all.push_back(segment);
    }
    if (!tensor.local.empty()) local += tensor.local.size();
    base += num_elements(tensor.shape);
  }
  return all;
}

std::vector<Tensor> BatchParts::locals() const {
  std::vector<Tensor> all;
  for (std::size_t index : batch_) all.push_back(tensors_[index].local);
  return all;
}

void BatchParts::collect() {
  const auto plan =
      parallel::ReshardPlan::make(comm_, segments_of_locals(/*owned=*/true), segments_of_parts());
  parallel::execute(plan, comm_, locals(), parts_);
}

void BatchParts::distribute() {
  const auto plan =
      parallel::ReshardPlan::make(comm_, segments_of_parts(), segments_of_locals(/*owned=*/false));
  parallel::execute(plan, comm_, parts_, locals());
}

}  // namespace concordat::checkpoint
