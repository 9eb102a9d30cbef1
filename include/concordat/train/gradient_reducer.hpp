// GradientReducer: the one place where gradients of groups and of ranks are combined.
//
//   GradientReducer reducer(mesh, exec, stage.specs(), set, ownership, /*overlaps=*/true);
//   set.on_group_closed([&](const auto& weight, const auto& place) { reducer.fold(weight, place);
//   }); set.on_bucket_ready([&](const model::Bucket& bucket) { reducer.reduce(bucket); });
//   ... backward ...
//   reducer.finish();              // every bucket is the sum, or this rank's part of it is
//
// First the whole bucket over the replicas (dp x cp); under ZeRO-1 only to each part's owner. Then
// what ParameterSpec says for single tensors: rows that neighbouring tp ranks share, norms under
// sequence parallelism (over tp), a tied table (over the pp ranks that hold it, or the two
// gradients of it that one rank has).
//
// Order: per rank the micro-batches of a group as they come, the groups as a binary tree
// (model/gradient_groups.hpp), and the replicas as `comm`'s binary tree, which goes on where that
// of the groups ends. Without groups the result depends on the number of ranks, with them not even
// on that; on `overlaps` in neither case.
//
// With `overlaps` the sums are made on a thread of their own while the backward goes on; it pays
// where a rank has a processor to spare for it (docs/benchmarks.md). Buckets with a tied table wait
// for finish(): in the middle of a schedule the two stages would wait for each other.
// Collective over replicas, tp and pp. Who gives up a step half-way tells the others first
// (Communicator::fail), or the destructor waits for them.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "concordat/model/parameters.hpp"
#include "concordat/parallel/mesh.hpp"
#include "concordat/train/ownership.hpp"

namespace concordat::train {

class GradientReducer {
 public:
  /// `specs`: all tensors of the model. Everything given must outlive it. Collective over the mesh.
  GradientReducer(parallel::ProcessMesh& mesh, device::Exec& exec,
                  const std::vector<parallel::ParameterSpec>& specs, const model::ParameterSet& set,
                  const Ownership& ownership, bool overlaps);
  /// Adds up what waited for a group to close: as part of the backward, while it is in the cache.
  void fold(const model::Weight& weight, const model::GroupPlace& place);
  /// Starts the sum of one bucket, behind what the stream holds.
  void reduce(const model::Bucket& bucket);
  /// Whether sums are made beside the backward: then each bucket should come as early as it can.
  bool overlaps() const { return side_ != nullptr; }
  /// What comes next in the stream sees the sums. @pre every bucket of the step was given.
  void finish();

 private:
  /// One tensor's gradient that other ranks hold parts of.
  struct Shared {
    comm::Communicator* group = nullptr;
    std::int64_t begin = 0;
    std::int64_t count = 0;
  };
  void add_shared(const parallel::ParameterSpec& spec);
  void start(const model::Bucket& bucket);
  /// Gradients of further users of a weight on this rank.
  void add_beside();

  parallel::ProcessMesh& mesh_;
  device::Exec& exec_;
  const model::ParameterSet& set_;
  const Ownership& ownership_;
  std::map<int, std::unique_ptr<comm::Communicator>> sharer_groups_;  // by how many share
  std::unique_ptr<comm::Communicator> ends_;                          // of the pipeline
  std::vector<std::vector<Shared>> shared_;                           // by bucket
  std::vector<bool> deferred_;                                        // by bucket
  std::vector<comm::Handle> handles_;
  std::size_t num_given_ = 0;
  std::unique_ptr<Stream> side_;  // last: its thread ends before what it uses
};

}  // namespace concordat::train
