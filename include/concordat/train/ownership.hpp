// Ownership: what of the local flat space a rank updates: all of it, or under ZeRO-1 its share
// among the replicas (dp x cp), which hold the same shards.
//
//   Ownership mine(set, mesh.replicas().size(), mesh.replicas().rank(), /*zero=*/1, 1 << 14);
//   host_tensor(Dtype::f32, {mine.count()});            // a moment
//   for (const auto& part : mine.parts()) ...           // of each bucket of gradients a run
//
// Every bucket is cut into as many runs as there are replicas, so that a bucket can be reduced to
// its owners as soon as it is final. Cuts inside a tensor lie between its norm blocks
// (optimizer.hpp), whose squares are summed by one rank. Pure values; the same on all replicas but
// for whose they are.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "concordat/model/parameters.hpp"

namespace concordat::train {

class Ownership {
 public:
  struct Part {
    std::int64_t begin = 0;  ///< in the local flat space
    std::int64_t count = 0;
    std::int64_t at = 0;  ///< where it lies in this rank's own tensors
  };

  /// @pre norm_block > 0, in elements of a tensor.
  Ownership(const model::ParameterSet& set, int replicas, int replica, int zero,
            std::int64_t norm_block);

  /// Whether others own anything.
  bool shared() const { return shared_; }
  std::int64_t count() const { return count_; }
  const std::vector<Part>& parts() const { return parts_; }
  /// This rank's part of a bucket, from the bucket's first element on: begin, end.
  std::pair<std::int64_t, std::int64_t> mine(int bucket) const {
    const auto r = static_cast<std::size_t>(replica_);
    return {bounds(bucket)[r], bounds(bucket)[r + 1]};
  }
  /// Where the replicas' runs of a bucket begin, from its first element on.
  const std::vector<std::int64_t>& bounds(int bucket) const {
    return bounds_[static_cast<std::size_t>(bucket)];
  }

 private:
  bool shared_ = false;
  int replica_ = 0;
  std::int64_t count_ = 0;
  std::vector<Part> parts_;
  std::vector<std::vector<std::int64_t>> bounds_;
};

}  // namespace concordat::train
