#include "concordat/train/ownership.hpp"

#include <algorithm>

#include "concordat/comm/communicator.hpp"

namespace concordat::train {

namespace {
/// The place between two norm blocks of a tensor, or between tensors, that is nearest to `at`.
std::int64_t nearest_cut(const model::ParameterSet& set, std::int64_t at, std::int64_t norm_block) {
  const auto& tensors = set.tensors();
  const auto behind = std::upper_bound(
      tensors.begin(), tensors.end(), at,
      [](std::int64_t index, const model::LocalTensor& tensor) { return index < tensor.begin; });
  const model::LocalTensor& tensor = *std::prev(behind);
  const std::int64_t blocks = (at - tensor.begin + norm_block / 2) / norm_block;
  return tensor.begin + std::min(blocks * norm_block, tensor.count);
}
}  // namespace

Ownership::Ownership(const model::ParameterSet& set, int replicas, int replica, int zero,
                     std::int64_t norm_block)
    : shared_(zero > 0 && replicas > 1), replica_(replica) {
  if (!shared_) {
    count_ = set.num_local();
    parts_ = {{.begin = 0, .count = count_, .at = 0}};
    return;
  }
  for (const model::Bucket& bucket : set.buckets()) {
    bounds_.push_back(comm::even_bounds(bucket.count, replicas));
    for (std::int64_t& bound : bounds_.back()) {
      if (bound == bucket.count) continue;
      bound = nearest_cut(set, bucket.begin + bound, norm_block) - bucket.begin;
    }
    const auto [begin, end] = mine(bucket.index);
    if (begin == end) continue;
    parts_.push_back({.begin = bucket.begin + begin, .count = end - begin, .at = count_});
    count_ += end - begin;
  }
}

}  // namespace concordat::train
