// GradientNorm: the squared norm of the whole model's gradient, with the same bits over dp, pp,
// chunks and ZeRO-1.
//
//   GradientNorm norm(exec, specs, set, mesh, ownership, /*block=*/1 << 14);
//   norm.measure(exec);                            // the gradients are final
//   read_back<double>(exec, norm.squares());
//
// Every tensor of the model (under tp: of a tp rank's shard) is cut into blocks of `block`
// elements, numbered over the model in declared order. One rank sums the squares of a block, in f64
// and in a fixed order; the ranks' tables of sums, 0 where another one sums, are added, which is
// exact but over tp; then everybody adds the table up in its order. Cost: one read of what this
// rank owns, and 8 bytes a block in three all-reduces. Collective over tp, pp and, under ZeRO-1,
// the replicas. What is given must outlive it.
#pragma once

#include <vector>

#include "concordat/model/parameters.hpp"
#include "concordat/parallel/mesh.hpp"
#include "concordat/train/ownership.hpp"

namespace concordat::train {

class GradientNorm {
 public:
  /// `specs`: all tensors of the model. `ownership` cuts tensors between the same blocks.
  GradientNorm(device::Exec& exec, const std::vector<parallel::ParameterSpec>& specs,
               const model::ParameterSet& set, parallel::ProcessMesh& mesh,
               const Ownership& ownership, std::int64_t block);
  void measure(device::Exec& exec);
  /// 0-d f64.
  const Tensor& squares() const { return squares_; }

 private:
  /// A run of one tensor whose squares this rank sums, from one of its blocks on.
  struct Run {
    std::int64_t begin = 0;  ///< in the local flat space
    std::int64_t count = 0;
    std::int64_t block = 0;  ///< of the model
  };
  const model::ParameterSet& set_;
  parallel::ProcessMesh& mesh_;
  bool shared_;
  std::int64_t block_;
  std::vector<Run> runs_;
  Tensor by_block_;  // [blocks of the model] f64
  Tensor squares_;
};

}  // namespace concordat::train
