// RoadRig: one kind of road between a coordinator's desk and three sites, with a wire that a test
// can cut. The conformance suite runs over every kind that road_kinds() lists: one program has the
// roads that need no launcher, another the mpi road.
//
//   auto rig = make_loopback_rig(world);
//   rig->listen(desk);
//   auto road = rig->site(alba);
//   rig->lose_next(alba, Lost::answer);       // the next call acts, and its caller never hears of
//   it
#pragma once

#include <memory>
#include <string>

#include "unit/border/desk.hpp"

namespace concordat::border::testing {

enum class Lost { request, answer };

class RoadRig {
 public:
  virtual ~RoadRig() = default;
  /// The coordinator's end answers, at the same place as before.
  virtual void listen(RoadHandler& handler) = 0;
  /// The coordinator's process is gone.
  virtual void hang_up() = 0;
  virtual CoordinatorRoad& hub() = 0;
  virtual std::unique_ptr<SiteRoad> site(SiteId id) = 0;
  /// Cuts the wire of a site that is connected, in the middle of its next call.
  virtual void lose_next(SiteId id, Lost what) = 0;
  /// Most bytes that the coordinator's end held at once, and its limit; 0 where it holds none.
  virtual std::uint64_t peak_in_flight_bytes() const { return 0; }
  virtual std::uint64_t limit_bytes() const { return 0; }
};

struct RoadKind {
  const char* name;
  std::unique_ptr<RoadRig> (*make)(World&);
};
/// The roads that this test program has.
std::vector<RoadKind> road_kinds();

std::unique_ptr<RoadRig> make_loopback_rig(World& world);
/// Over TCP on this machine, through a relay that can be cut.
std::unique_ptr<RoadRig> make_tls_rig(World& world);

}  // namespace concordat::border::testing
