#include "checkpoint/batch.hpp"

#include <algorithm>
#include <map>

#include "checkpoint/extents.hpp"

namespace concordat::checkpoint {

namespace {

constexpr std::int64_t batch_bytes_a_rank = std::int64_t{8} << 20U;

/// Of all ranks' parts the longest.
std::int64_t longest_part(std::size_t index, const Shape& shape, int num_ranks) {
  std::int64_t longest = 0;
  for (int rank = 0; rank < num_ranks; ++rank) {
    longest = std::max(longest, part_of(index, shape, rank, num_ranks).count());
  }
  return longest;
}

}  // namespace

std::vector<Batch> batches_of(const std::vector<NamedTensor>& tensors, int num_ranks) {
  const std::int64_t most_bytes = batch_bytes_a_rank * std::max(2, num_ranks);
  std::vector<Batch> batches;
  std::map<std::size_t, std::pair<std::size_t, std::int64_t>> open;  // width: batch, its bytes
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::size_t width = size_of(tensors[i].dtype);
    const auto element_bytes = static_cast<std::int64_t>(width);
    const std::int64_t longest = longest_part(i, tensors[i].shape, num_ranks);
    const std::int64_t block = std::int64_t{1} << tensor_block_log2;
    const std::int64_t window =
        std::max(most_bytes / num_ranks / element_bytes / block * block, block);
    for (std::int64_t begin = 0; begin < longest; begin += window) {
      const std::int64_t count = std::min(window, longest - begin);
      const std::int64_t bytes =
          std::min(count * num_ranks, num_elements(tensors[i].shape)) * element_bytes;
      auto found = open.find(width);
      if (found == open.end() || found->second.second + bytes > most_bytes) {
        batches.emplace_back();
        found = open.insert_or_assign(width, std::pair(batches.size() - 1, std::int64_t{0})).first;
      }
      batches[found->second.first].push_back({i, begin, count, count == longest});
      found->second.second += bytes;
    }
  }
  return batches;
}

parallel::Slice slice_of(const Window& window, const Shape& shape, int rank, int num_ranks) {
  parallel::Slice slice = part_of(window.dataset, shape, rank, num_ranks);
  slice.begin = std::min(slice.end, slice.begin + window.begin);
  slice.end = std::min(slice.end, slice.begin + window.count);
  return slice;
}

Tensor view_of(const Tensor& part, const Window& window) {
  if (part.empty() || part.size() <= window.begin) return {};
  const auto begin = static_cast<std::size_t>(window.begin) * size_of(part.dtype());
  return {part.storage(),
          part.offset_bytes() + begin,
          part.dtype(),
          {std::min(window.count, part.size() - window.begin)}};
}

std::vector<parallel::Segment> restricted(const parallel::Segment& segment, std::int64_t begin,
                                          std::int64_t end) {
  // The runs that reach into the range: from `first` to before `last`.
  std::int64_t first = 0;
  std::int64_t last = 1;
  if (segment.count > 1) {
    const std::int64_t passed = begin - segment.begin - segment.run;
    const std::int64_t reached = end - segment.begin;
    first = passed < 0 ? 0 : passed / segment.stride + 1;
    last = reached <= 0 ? 0 : std::min(segment.count, (reached - 1) / segment.stride + 1);
  }
  std::vector<parallel::Segment> all;
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t run_begin = segment.begin + i * segment.stride;
    const std::int64_t low = std::max(begin, run_begin);
    const std::int64_t high = std::min(end, run_begin + segment.run);
    if (low >= high) continue;
    const bool whole = high - low == segment.run;
    const std::int64_t local = segment.local_begin + i * segment.local_stride + (low - run_begin);
    parallel::Segment piece{low, high - low, 1, segment.stride, local, segment.local_stride};
    if (whole) {
      // All behind it but the last are whole too.
      const std::int64_t last_end = segment.begin + (last - 1) * segment.stride + segment.run;
      piece.count = last - i - (last_end > end ? 1 : 0);
      i += piece.count - 1;
    }
    all.push_back(piece);
  }
  return all;
}

BatchParts::BatchParts(comm::Communicator& comm, const std::vector<NamedTensor>& tensors,
                       const Batch& batch, std::vector<Tensor> parts)
    : comm_(comm), tensors_(tensors), batch_(batch), parts_(std::move(parts)) {}

// The datasets of a batch stand one behind the other in a canonical space of their own, the parts
// and the local tensors likewise in local flat spaces.

std::vector<parallel::Segment> BatchParts::segments_of_parts() const {
  std::vector<parallel::Segment> all;
  std::int64_t base = 0;
  std::int64_t local = 0;
  for (const Window& window : batch_) {
    const Shape& shape = tensor_of(window).shape;
    const auto slice = slice_of(window, shape, comm_.rank(), comm_.size());
    if (slice.count() > 0) all.push_back({base + slice.begin, slice.count(), 1, 0, local, 0});
    local += slice.count();
    base += num_elements(shape);
  }
  return all;
}

std::vector<parallel::Segment> BatchParts::segments_of_local(const Window& window,
                                                             bool owned) const {
  const NamedTensor& tensor = tensor_of(window);
  const auto& segments = owned ? tensor.owned : tensor.held;
  if (window.whole) return segments;
  std::vector<parallel::Segment> all;
  for (int rank = 0; rank < comm_.size(); ++rank) {
    const auto slice = slice_of(window, tensor.shape, rank, comm_.size());
    for (const auto& segment : segments) {
      const auto pieces = restricted(segment, slice.begin, slice.end);
      all.insert(all.end(), pieces.begin(), pieces.end());
    }
  }
  return all;
}

std::vector<parallel::Segment> BatchParts::segments_of_locals(bool owned) const {
  std::vector<parallel::Segment> all;
  std::int64_t base = 0;
  std::int64_t local = 0;
  for (const Window& window : batch_) {
    const NamedTensor& tensor = tensor_of(window);
    for (parallel::Segment segment : segments_of_local(window, owned)) {
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
  for (const Window& window : batch_) all.push_back(tensor_of(window).local);
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
