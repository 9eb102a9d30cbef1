// Properties of resharding, checked collectively on any back end.
#pragma once

#include "concordat/comm/communicator.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::parallel {

/// Collective: layout -> slices -> layout returns every element, padding untouched.
void check_layout_to_slices_and_back(comm::Communicator& comm, const MeshShape& mesh,
                                     int block_log2);
/// Collective: ranks beyond a mesh's size hold nothing of it.
void check_layout_to_layout(comm::Communicator& comm, const MeshShape& from, const MeshShape& to);

}  // namespace concordat::parallel
