// ProcessMesh: the ranks of a site as a (dp, pp, cp, tp) grid, innermost tp, then cp, pp, dp.
//
//   MeshShape shape{.dp = 3, .pp = 1, .cp = 1, .tp = 2};
//   ProcessMesh mesh(comm, shape);                  // collective: makes the axis groups
//   mesh.coords().tp                                // where this rank is
//   mesh.axis(Axis::tp).all_reduce(x, ReduceOp::sum, stream);
//
// MeshShape and MeshCoords are plain values; rank_of and coords_of are pure.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "concordat/comm/communicator.hpp"

namespace concordat::parallel {

enum class Axis { tp, cp, pp, dp };

struct MeshShape {
  int dp = 1;
  int pp = 1;
  int cp = 1;
  int tp = 1;
  int size() const { return dp * pp * cp * tp; }
  int extent(Axis axis) const;
  /// "dp=3 pp=1 cp=1 tp=2", as in manifests.
  std::string text() const;
  bool operator==(const MeshShape&) const = default;
};

struct MeshCoords {
  int dp = 0;
  int pp = 0;
  int cp = 0;
  int tp = 0;
  bool operator==(const MeshCoords&) const = default;
};

/// @pre the coordinates lie in the shape.
int rank_of(const MeshShape& shape, const MeshCoords& coords);
/// @pre 0 <= rank < shape.size().
MeshCoords coords_of(const MeshShape& shape, int rank);

/// Groups of one exist for every axis, so callers never ask whether an axis is used.
class ProcessMesh {
 public:
  /// Collective over `comm`, which must outlive the mesh.
  /// @throws Error(parallel.bad_layout) unless shape.size() == comm.size().
  ProcessMesh(comm::Communicator& comm, const MeshShape& shape);

  const MeshShape& shape() const { return shape_; }
  const MeshCoords& coords() const { return coords_; }
  comm::Communicator& all() { return comm_; }
  /// The ranks that differ from this one along `axis` only, in axis order.
  comm::Communicator& axis(Axis axis) { return *axes_[static_cast<std::size_t>(axis)]; }
  /// The ranks that hold replicas of the same shard: cp x dp, dp innermost, so that a sum over them
  /// as a binary tree goes over dp first (where dp is a power of two).
  comm::Communicator& replicas() { return *replicas_; }

 private:
  comm::Communicator& comm_;
  MeshShape shape_;
  MeshCoords coords_;
  std::array<std::unique_ptr<comm::Communicator>, 4> axes_;
  std::unique_ptr<comm::Communicator> replicas_;
};

}  // namespace concordat::parallel
