// The loopback road: coordinator and sites in one process, for tests of everything above roads.
//
//   LoopbackRoad road;
//   road.start(desk);
//   auto alba = road.site(SiteId{0});
//   alba->deliver(envelope);             // calls desk.accept_message on this thread
//
// Threads: as SiteRoad; several sites may call at once. Faults: fail_next makes the next calls of
// a site throw Error(road_down), before or after the handler acted.
#pragma once

#include <memory>

#include "concordat/border/road.hpp"

namespace concordat::border {

class LoopbackRoad final : public CoordinatorRoad {
 public:
  enum class Fault { before, after };  ///< the request is lost; the answer is lost
  LoopbackRoad();
  ~LoopbackRoad() override;
  void start(RoadHandler& handler) override;
  void stop() override;
  std::vector<SiteId> connected() override;
  /// The end of one site; must not outlive this.
  std::unique_ptr<SiteRoad> site(SiteId id);
  /// The site's next `count` calls fail.
  void fail_next(SiteId id, Fault fault, int count);

 private:
  class End;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace concordat::border
