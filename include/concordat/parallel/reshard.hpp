// ReshardPlan: who sends which run to whom, from the segments of two layouts.
//
//   auto plan = ReshardPlan::make(comm, training_layout.owned, slice_layout.held);
//   execute(plan, comm, {weights...}, {slice});      // local flat spaces as lists of tensors
//
// Owners contribute; every holder of the destination receives. One plan serves any number of
// executions and any element type. Plans between training layout, slices, checkpoint extents and
// foreign layouts are all of this type.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "concordat/parallel/canonical_space.hpp"

namespace concordat::parallel {

/// `count` runs of `run` elements that move from one local flat space to another.
struct Copy {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t run = 0;
  std::int64_t count = 1;
  std::int64_t from_stride = 0;
  std::int64_t to_stride = 0;
  bool operator==(const Copy&) const = default;
};

/// The runs that `source` and `destination` share, in the order of the source's segments and runs;
/// both ends of a transfer compute the same list. Pure. Cost: the number of shared runs.
std::vector<Copy> intersect(std::span<const Segment> source, std::span<const Segment> destination);

class ReshardPlan {
 public:
  struct Peer {
    int rank = 0;
    std::vector<Copy> copies;
    std::int64_t num_elements = 0;
  };

  /// Collective over `comm`: gathers the segment lists of all ranks. `owned` are the segments that
  /// this rank contributes, `held` those it wants.
  /// @throws Error(parallel.bad_plan) on every rank unless each wanted element has one owner.
  static ReshardPlan make(comm::Communicator& comm, std::span<const Segment> owned,
                          std::span<const Segment> held);
  /// Pure: from the lists of all ranks, for tests and for layouts that are known everywhere.
  static ReshardPlan make(int rank, std::span<const std::vector<Segment>> owned,
                          std::span<const std::vector<Segment>> held);

  const std::vector<Peer>& sends() const { return sends_; }        ///< without this rank itself
  const std::vector<Peer>& receives() const { return receives_; }  ///< without this rank itself
  const std::vector<Copy>& local() const { return local_; }

 private:
  std::vector<Peer> sends_;
  std::vector<Peer> receives_;
  std::vector<Copy> local_;
};

/// Collective over `comm`. `source` and `destination` are the local flat spaces as contiguous host
/// tensors in order, all of one dtype; padding and what the plan does not name is left alone.
/// Source and destination must not overlap. Buffers: at most 1 MiB a peer and direction.
void execute(const ReshardPlan& plan, comm::Communicator& comm, std::span<const Tensor> source,
             std::span<const Tensor> destination);
void execute(const ReshardPlan& plan, comm::Communicator& comm,
             std::initializer_list<Tensor> source, std::initializer_list<Tensor> destination);

}  // namespace concordat::parallel
