#include "concordat/parallel/mesh.hpp"

#include <utility>

#include "concordat/parallel/errors.hpp"

namespace concordat::parallel {

int MeshShape::extent(Axis axis) const {
  switch (axis) {
    case Axis::tp:
      return tp;
    case Axis::cp:
      return cp;
    case Axis::pp:
      return pp;
    case Axis::dp:
      return dp;
  }
  throw Bug("no such axis");
}

std::string MeshShape::text() const {
  return "dp=" + std::to_string(dp) + " pp=" + std::to_string(pp) + " cp=" + std::to_string(cp) +
         " tp=" + std::to_string(tp);
}

int rank_of(const MeshShape& shape, const MeshCoords& coords) {
  CONCORDAT_REQUIRE(coords.tp >= 0 && coords.tp < shape.tp && coords.cp >= 0 &&
                        coords.cp < shape.cp && coords.pp >= 0 && coords.pp < shape.pp &&
                        coords.dp >= 0 && coords.dp < shape.dp,
                    "coordinates outside of " + shape.text());
  return ((coords.dp * shape.pp + coords.pp) * shape.cp + coords.cp) * shape.tp + coords.tp;
}

MeshCoords coords_of(const MeshShape& shape, int rank) {
  CONCORDAT_REQUIRE(rank >= 0 && rank < shape.size(), std::to_string(rank) + " of " + shape.text());
  MeshCoords coords;
  coords.tp = rank % shape.tp;
  rank /= shape.tp;
  coords.cp = rank % shape.cp;
  rank /= shape.cp;
  coords.pp = rank % shape.pp;
  coords.dp = rank / shape.pp;
  return coords;
}

ProcessMesh::ProcessMesh(comm::Communicator& comm, const MeshShape& shape)
    : comm_(comm), shape_(shape) {
  const bool positive = shape.dp > 0 && shape.pp > 0 && shape.cp > 0 && shape.tp > 0;
  if (!positive || shape.size() != comm.size()) {
    throw Error(errors::bad_layout,
                {.what = "the mesh does not fit the ranks",
                 .found = shape.text() + ", that is " + std::to_string(shape.size()) + " ranks",
                 .expected = std::to_string(comm.size()) + " ranks, as started",
                 .remedy = "start dp*pp*cp*tp ranks, or change the layout"});
  }
  coords_ = coords_of(shape, comm.rank());
  for (Axis axis : {Axis::tp, Axis::cp, Axis::pp, Axis::dp}) {
    // Ranks with equal coordinates on all other axes share a colour: their rank with 0 on `axis`.
    MeshCoords origin = coords_;
    int key = 0;
    switch (axis) {
      case Axis::tp:
        key = std::exchange(origin.tp, 0);
        break;
      case Axis::cp:
        key = std::exchange(origin.cp, 0);
        break;
      case Axis::pp:
        key = std::exchange(origin.pp, 0);
        break;
      case Axis::dp:
        key = std::exchange(origin.dp, 0);
        break;
    }
    axes_[static_cast<std::size_t>(axis)] = comm.split(rank_of(shape, origin), key);
  }
  replicas_ = comm.split(coords_.pp * shape.tp + coords_.tp, coords_.cp * shape.dp + coords_.dp);
}

}  // namespace concordat::parallel
