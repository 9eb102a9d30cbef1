// The mpi road: requests and answers as letters of a comm::Interlink, inside one MPI job that holds
// the coordinator and every border. For one trust domain and for tests: the envelopes are sealed as
// on every road, and the processes that carry them are not kept apart by anything.
// Format: docs/formats/mpi-road.md.
//
//   auto hub = make_mpi_coordinator_road(*split.interlink, peers, {.budget = budget});
//   auto road = make_mpi_site_road(*split.interlink);           // in a border
//
// The party at the other end is known by the name it gave to Runtime::split. The coordinator runs
// one thread per border; a request's bytes are reserved in the one budget before they are taken,
// and an answer's until they are through. Neither end outlives the job.
// Failure: as road.hpp; a coordinator that has stopped, or has not started, is road_down.
#pragma once

#include <memory>

#include "concordat/border/budget.hpp"
#include "concordat/border/road.hpp"

namespace concordat::comm {
class Interlink;
}

namespace concordat::border {

struct MpiSiteOptions {
  std::chrono::milliseconds open_limit{2'000};     ///< for a coordinator that does not answer yet
  std::chrono::milliseconds answer_limit{30'000};  ///< longest wait for one answer
};

struct MpiCoordinatorOptions {
  /// One bound on bytes in flight, shared with whoever sums; 64 MiB of its own if none is given.
  std::shared_ptr<ByteBudget> budget{};
};

/// `link` outlives the road. One road at a time. @throws Error(bad_address) if the link does not
/// lead to one coordinator.
std::unique_ptr<SiteRoad> make_mpi_site_road(comm::Interlink& link,
                                             const MpiSiteOptions& options = {});
/// `link` outlives the road. @throws Error(unknown_peer) for a border that is no site of `peers`.
std::unique_ptr<CoordinatorRoad> make_mpi_coordinator_road(
    comm::Interlink& link, const PeerDirectory& peers, const MpiCoordinatorOptions& options = {});

}  // namespace concordat::border
