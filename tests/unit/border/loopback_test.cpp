#include "concordat/border/loopback.hpp"

#include "unit/border/desk.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;

TEST(Loopback, CarriesMessagesBothWays) {
  World world;
  Desk desk(world);
  LoopbackRoad road;
  road.start(desk);
  auto site = road.site(alba);
  site->deliver(world.seal(world.header(MessageType::ready), as_bytes("up")));
  ASSERT_EQ(desk.messages.size(), 1U);
  EXPECT_EQ(to_string(desk.messages[0].body), "up");
  EXPECT_FALSE(site->fetch(milliseconds(1)));
  Envelope down =
      world.seal(world.header(MessageType::manifest, coordinator_id, alba), as_bytes("down"));
  desk.post(alba, down.wire());
  auto fetched = site->fetch(milliseconds(1));
  ASSERT_TRUE(fetched);
  EXPECT_EQ(*site->fetch(milliseconds(1)), *fetched) << "until it is acknowledged";
  site->acknowledge(down.digest());
  EXPECT_FALSE(site->fetch(milliseconds(1)));
}

TEST(Loopback, ALostAnswerIsARepeatedRequest) {
  World world;
  Desk desk(world);
  LoopbackRoad road;
  road.start(desk);
  auto site = road.site(alba);
  Envelope up = world.seal(world.header(MessageType::ready), as_bytes("up"));
  road.fail_next(alba, LoopbackRoad::Fault::after, 1);
  EXPECT_EQ(code_of([&] { site->deliver(up); }), "border.road_down");
  site->deliver(up);
  EXPECT_EQ(desk.messages.size(), 2U) << "receipts sort that out, not roads";
  road.fail_next(alba, LoopbackRoad::Fault::before, 1);
  EXPECT_EQ(code_of([&] { site->deliver(up); }), "border.road_down");
  EXPECT_EQ(desk.messages.size(), 2U);
}

TEST(Loopback, ARefusalIsToldWithItsCode) {
  World world;
  Desk desk(world);
  LoopbackRoad road;
  road.start(desk);
  auto site = road.site(alba);
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  Envelope frame = up.frames.seal(upload.table.place(0), upload.blocks[0],
                                  crypto::inclusion_path(upload.leaves, 0));
  EXPECT_EQ(code_of([&] { site->deliver_block(frame); }), "border.peer_refused");
}

TEST(Loopback, ADeadCoordinatorIsARoadThatIsDown) {
  World world;
  Desk desk(world);
  LoopbackRoad road;
  road.start(desk);
  auto site = road.site(alba);
  road.stop();
  EXPECT_EQ(code_of([&] { site->fetch(milliseconds(1)); }), "border.road_down");
  site->stop();
  EXPECT_EQ(code_of([&] { site->fetch(milliseconds(1)); }), "border.road_stopped");
}

}  // namespace
}  // namespace concordat::border::testing
