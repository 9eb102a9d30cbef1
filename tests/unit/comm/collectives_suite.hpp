// What every back end must do, as one function to call on every rank of a group of any size.
#pragma once

#include "concordat/comm/communicator.hpp"

namespace concordat::comm {

/// Collective over `comm`: runs every collective with small odd counts and checks the results.
void check_all_collectives(Communicator& comm);

}  // namespace concordat::comm
