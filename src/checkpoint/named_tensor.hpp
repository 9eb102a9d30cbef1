// Checks of the tensor list that save and restore share.
#pragma once

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// Collective: all ranks must name the same tensors. @throws Bug.
void check_same_list(comm::Communicator& comm, const std::vector<NamedTensor>& tensors);

}  // namespace concordat::checkpoint
