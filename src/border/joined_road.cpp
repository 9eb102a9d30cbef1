#include "concordat/border/joined_road.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "concordat/core/error.hpp"

namespace concordat::border {
namespace {

class Road final : public CoordinatorRoad {
 public:
  explicit Road(std::vector<std::unique_ptr<CoordinatorRoad>> roads) : roads_(std::move(roads)) {}

  void start(RoadHandler& handler) override {
    for (auto& road : roads_) road->start(handler);
  }
  void stop() override {
    for (auto& road : roads_) road->stop();
  }
  std::vector<SiteId> connected() override {
    std::set<SiteId> sites;
    for (auto& road : roads_)
      std::ranges::copy(road->connected(), std::inserter(sites, sites.end()));
    return {sites.begin(), sites.end()};
  }

 private:
  std::vector<std::unique_ptr<CoordinatorRoad>> roads_;
};

}  // namespace

std::unique_ptr<CoordinatorRoad> join_roads(std::vector<std::unique_ptr<CoordinatorRoad>> roads) {
  CONCORDAT_REQUIRE(!roads.empty(), "no road");
  if (roads.size() == 1) return std::move(roads.front());
  return std::make_unique<Road>(std::move(roads));
}

}  // namespace concordat::border
