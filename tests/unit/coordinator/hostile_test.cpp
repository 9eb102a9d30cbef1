// What members can do to a coordinator besides what they say of themselves
// (hostile_ready_test.cpp).
#include "unit/coordinator/scene.hpp"

#include "concordat/exact/errors.hpp"

namespace concordat::coordinator::testing {
namespace {

TEST(Hostile, AMessageOutOfTurnIsRefused) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::agree);
  EXPECT_EQ(
      refusal_of([&] {
        road->deliver(scene.seal(SiteId(0), header, federation::encode(federation::AgreeBody{})));
      }),
      "federation.out_of_turn");
}

TEST(Hostile, FramesWithoutAHeaderAreRefused) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  EXPECT_EQ(refusal_of([&] { road->upload_position({}); }), "border.no_header");
  EXPECT_EQ(refusal_of([&] { road->flush_blocks({Round{7}, {}, {}}); }), "coordinator.not_open");
  EXPECT_EQ(refusal_of([&] { road->fetch_blocks({}, 0, 1, [](ByteView) {}); }),
            "coordinator.not_open");
}

TEST(Hostile, RefusalsStandInTheLedger) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(1));
  auto header = scene.header(SiteId(1), border::MessageType::ready);
  road->deliver(scene.seal(SiteId(1), header, federation::encode(scene.ready(40))));
  for (std::uint8_t i = 0; i < 100; ++i) {
    border::Envelope other = scene.seal(
        SiteId(1), header, federation::encode(scene.ready(static_cast<std::uint8_t>(60 + i))));
    EXPECT_EQ(refusal_of([&] { road->deliver(other); }), "border.equivocation");
  }
  loop.reset();
  auto log = ledger::read_log(posix_files(), scene.folder / "ledger",
                              ledger::log_origin("hub", scene.keys.log.verify_key()),
                              scene.keys.log.verify_key());
  std::size_t refusals = 0;
  for (const auto& logged : log.entries) refusals += logged.entry.kind == "refusal";
  EXPECT_EQ(refusals, 64U) << "a flood does not fill the ledger";
}

TEST(Hostile, ASumOutOfRangeIsNotClosed) {
  Scene scene;
  auto loop = scene.start();
  std::vector<std::unique_ptr<border::SiteRoad>> roads;
  std::vector<std::unique_ptr<FakeSite>> sites;
  for (std::uint32_t i = 0; i < 3; ++i) {
    roads.push_back(scene.road.site(SiteId(i)));
    sites.push_back(std::make_unique<FakeSite>(
        scene.federation, SiteId(i), scene.temporary.path() / ("site-" + std::to_string(i)),
        *roads[i]));
  }
  sites[1]->cheats = true;
  auto run = [&] {
    for (int i = 0; i < 2000; ++i) {
      for (auto& site : sites) site->step(milliseconds(0));
      loop->turn();
    }
  };
  EXPECT_ERROR(run(), exact::errors::sum_out_of_range);
  EXPECT_TRUE(sites[0]->closings().empty());
}

}  // namespace
}  // namespace concordat::coordinator::testing
