#include "concordat/border/tls_road.hpp"

#include <thread>

#include "unit/border/desk.hpp"

namespace concordat::border::testing {
namespace {

using std::chrono::milliseconds;

struct Scene {
  World world;
  Desk desk{world};
  std::shared_ptr<ByteBudget> budget = std::make_shared<ByteBudget>(64U << 20U);
  std::unique_ptr<TlsCoordinatorRoad> hub = listen(0);

  Scene() { hub->start(desk); }
  ~Scene() { hub->stop(); }
  std::unique_ptr<TlsCoordinatorRoad> listen(std::uint16_t port) {
    TlsCoordinatorOptions options;
    options.port = port;
    options.budget = budget;
    options.spill_folder = world.folder.path / "spill";
    return make_tls_coordinator_road(options, world.parties.at(coordinator_id).tls, "hub",
                                     world.peers);
  }
  std::unique_ptr<SiteRoad> site(SiteId id) {
    TlsSiteOptions options{.host = "127.0.0.1", .port = hub->bound_port()};
    return make_tls_site_road(options, world.parties.at(id).tls, world.peers.at(id).name,
                              world.peers);
  }
};

TEST(TlsRoad, CarriesMessagesBothWays) {
  Scene scene;
  auto road = scene.site(brio);
  road->deliver(scene.world.seal(scene.world.header(MessageType::ready, brio), as_bytes("up")));
  ASSERT_EQ(scene.desk.messages.size(), 1U);
  EXPECT_EQ(to_string(scene.desk.messages[0].body), "up");
  EXPECT_EQ(scene.desk.peers_of_messages[0], brio);
  EXPECT_EQ(scene.hub->connected(), std::vector<SiteId>{brio});
  EXPECT_FALSE(road->fetch(milliseconds(1)));
  Envelope down = scene.world.seal(scene.world.header(MessageType::go, coordinator_id, brio),
                                   Bytes(300'000, 5));
  scene.desk.post(brio, down.wire());
  auto fetched = road->fetch(milliseconds(1000));
  ASSERT_TRUE(fetched);
  EXPECT_EQ(*fetched, copy(down.wire()));
  road->acknowledge(down.digest());
  EXPECT_FALSE(road->fetch(milliseconds(1)));
}

TEST(TlsRoad, AWaitingFetchGetsWhatComes) {
  Scene scene;
  auto road = scene.site(alba);
  Envelope down =
      scene.world.seal(scene.world.header(MessageType::go, coordinator_id, alba), as_bytes("x"));
  std::thread poster([&] {
    std::this_thread::sleep_for(milliseconds(100));
    scene.desk.post(alba, down.wire());
  });
  EXPECT_TRUE(road->fetch(milliseconds(20'000)));
  poster.join();
}

TEST(TlsRoad, CarriesLargeBlocksBothWays) {
  Scene scene;
  Upload upload(3U << 20U, 1U << 20U);  // three blocks of 2 MiB and the weight
  Announcement up = upload.announce(scene.world, scene.world.header(MessageType::header));
  scene.desk.opener.emplace(scene.world.open(up.message.wire()), scene.world.peers);
  auto road = scene.site(alba);
  ExchangeId exchange = scene.world.header(MessageType::header).exchange;
  EXPECT_EQ(road->upload_position(exchange), 0U);
  for (std::uint64_t at = 0; at < upload.table.num_leaves(); ++at) {
    road->deliver_block(up.frames.seal(upload.table.place(at), upload.blocks[at],
                                       crypto::inclusion_path(upload.leaves, at)));
  }
  EXPECT_EQ(road->flush_blocks(exchange), 4U);
  ASSERT_EQ(scene.desk.blocks[alba].size(), 4U);
  EXPECT_EQ(scene.desk.blocks[alba][2].bytes, upload.blocks[2]);

  Header down = scene.world.header(MessageType::aggregate, coordinator_id, alba);
  Announcement announced = upload.announce(scene.world, down);
  scene.desk.aggregate = &upload;
  scene.desk.sealer.emplace(std::move(announced.frames));
  FrameOpener opener(scene.world.open(announced.message.wire(), alba), scene.world.peers);
  std::uint64_t position = 1;
  road->fetch_blocks(exchange, 1, 4, [&](ByteView wire) {
    EXPECT_EQ(opener.open(wire).bytes, upload.blocks[position++]);
  });
  EXPECT_EQ(position, 4U);
  EXPECT_LE(scene.hub->peak_in_flight_bytes(), scene.budget->limit_bytes());
}

TEST(TlsRoad, ARefusedBlockIsToldAtTheFlushAndTheRoadGoesOn) {
  Scene scene;
  Upload upload;
  Announcement up = upload.announce(scene.world, scene.world.header(MessageType::header));
  auto road = scene.site(alba);
  ExchangeId exchange = scene.world.header(MessageType::header).exchange;
  for (int i = 0; i < 3; ++i) {
    road->deliver_block(up.frames.seal(upload.table.place(0), upload.blocks[0],
                                       crypto::inclusion_path(upload.leaves, 0)));
  }
  try {
    road->flush_blocks(exchange);
    FAIL() << "the header never came";
  } catch (const Error& error) {
    EXPECT_EQ(error.code().name, "border.peer_refused");
    EXPECT_NE(error.fields().found.find("border.no_header"), std::string::npos);
  }
  EXPECT_EQ(road->flush_blocks(exchange), 0U);
}

TEST(TlsRoad, ARefusedMessageLeavesTheConnectionUp) {
  Scene scene;
  auto road = scene.site(alba);
  Header to_brio = scene.world.header(MessageType::go, coordinator_id, brio);
  EXPECT_EQ(code_of([&] { road->deliver(scene.world.seal(to_brio, as_bytes("x"))); }),
            "border.peer_refused");
  road->deliver(scene.world.seal(scene.world.header(MessageType::ready), as_bytes("x")));
  EXPECT_EQ(scene.desk.messages.size(), 1U);
}

TEST(TlsRoad, ARestartedCoordinatorIsFoundAgain) {
  Scene scene;
  auto road = scene.site(alba);
  Envelope up = scene.world.seal(scene.world.header(MessageType::ready), as_bytes("x"));
  road->deliver(up);
  std::uint16_t port = scene.hub->bound_port();
  scene.hub->stop();
  scene.hub.reset();
  EXPECT_EQ(code_of([&] { road->deliver(up); }), "border.road_down");
  EXPECT_EQ(code_of([&] { road->deliver(up); }), "border.road_down");
  scene.hub = scene.listen(port);
  scene.hub->start(scene.desk);
  road->deliver(up);
  EXPECT_EQ(scene.desk.messages.size(), 2U);
}

TEST(TlsRoad, ASecondConnectionOfASiteReplacesTheFirst) {
  Scene scene;
  auto first = scene.site(alba);
  auto second = scene.site(alba);
  Envelope up = scene.world.seal(scene.world.header(MessageType::ready), as_bytes("x"));
  first->deliver(up);
  second->deliver(up);
  EXPECT_EQ(code_of([&] { first->deliver(up); }), "border.road_down");
  EXPECT_EQ(scene.hub->connected(), std::vector<SiteId>{alba});
}

TEST(TlsRoad, StopEndsAWaitingFetch) {
  Scene scene;
  auto road = scene.site(alba);
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    road->stop();
  });
  EXPECT_EQ(code_of([&] { road->fetch(milliseconds(50'000)); }), "border.road_stopped");
  stopper.join();
}

TEST(TlsRoad, StopAtTheCoordinatorDoesNotWaitForFetches) {
  Scene scene;
  auto road = scene.site(alba);
  std::thread fetcher(
      [&] { EXPECT_EQ(code_of([&] { road->fetch(milliseconds(50'000)); }), "border.road_down"); });
  std::this_thread::sleep_for(milliseconds(100));
  auto begin = std::chrono::steady_clock::now();
  scene.hub->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  fetcher.join();
}

}  // namespace
}  // namespace concordat::border::testing
