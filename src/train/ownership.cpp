#include "concordat/train/ownership.hpp"

#include "concordat/comm/communicator.hpp"

namespace concordat::train {

Ownership::Ownership(const model::ParameterSet& set, int replicas, int replica, int zero)
    : shared_(zero > 0 && replicas > 1) {
  if (!shared_) {
    count_ = set.num_local();
    parts_ = {{.begin = 0, .count = count_, .at = 0}};
    return;
  }
  for (const model::Bucket& bucket : set.buckets()) {
    bounds_.push_back(comm::even_bounds(bucket.count, replicas));
    const auto r = static_cast<std::size_t>(replica);
    const std::int64_t count = bounds_.back()[r + 1] - bounds_.back()[r];
    if (count == 0) continue;
    parts_.push_back({.begin = bucket.begin + bounds_.back()[r], .count = count, .at = count_});
    count_ += count;
  }
}

}  // namespace concordat::train
