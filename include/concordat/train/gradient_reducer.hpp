// GradientReducer: the one place where replicas' gradients are combined.
//
//   GradientReducer reducer(mesh, exec);
//   set.on_bucket_ready([&](const model::Bucket& bucket) { reducer.reduce(bucket); });
//   ... backward ...
//   reducer.finish();              // every bucket is the sum over the replicas
//
// Order: per rank the micro-batches in schedule order, then `comm`'s fixed binary tree over the
// replicas (dp x cp). The result depends on the number of replicas and on nothing else.
// Collective over the replicas.
#pragma once

#include <vector>

#include "concordat/model/parameters.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::train {

class GradientReducer {
 public:
  GradientReducer(parallel::ProcessMesh& mesh, device::Exec& exec) : mesh_(mesh), exec_(exec) {}
  /// Starts the sum of one bucket, behind what the stream holds.
  void reduce(const model::Bucket& bucket);
  /// What comes next in the stream sees the sums. @pre every bucket of the step was reduced.
  void finish(std::size_t num_buckets);

 private:
  parallel::ProcessMesh& mesh_;
  device::Exec& exec_;
  std::vector<comm::Handle> handles_;
};

}  // namespace concordat::train
