// Several roads of one coordinator as one: some sites dial, others have a spool.
//
//   auto road = join_roads({std::move(tls), std::move(spool)});
//
// A site that comes over two of them has one queue all the same.
#pragma once

#include <memory>
#include <vector>

#include "concordat/border/road.hpp"

namespace concordat::border {

/// @pre at least one.
std::unique_ptr<CoordinatorRoad> join_roads(std::vector<std::unique_ptr<CoordinatorRoad>> roads);

}  // namespace concordat::border
