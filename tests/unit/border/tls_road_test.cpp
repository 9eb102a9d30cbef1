// What the tls road does beyond the contract that road_conformance_test.cpp holds every road to.
#include "concordat/border/tls_road.hpp"

#include "unit/border/desk.hpp"

namespace concordat::border::testing {
namespace {

struct TlsScene {
  World world;
  Desk desk{world};
  std::shared_ptr<ByteBudget> budget = std::make_shared<ByteBudget>(64U << 20U);
  std::unique_ptr<TlsCoordinatorRoad> hub = listen();

  TlsScene() { hub->start(desk); }
  ~TlsScene() { hub->stop(); }
  std::unique_ptr<TlsCoordinatorRoad> listen() {
    TlsCoordinatorOptions options;
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

TEST(TlsRoad, CarriesLargeBlocksBothWays) {
  TlsScene scene;
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

TEST(TlsRoad, ASecondConnectionOfASiteReplacesTheFirst) {
  TlsScene scene;
  auto first = scene.site(alba);
  auto second = scene.site(alba);
  Envelope up = scene.world.seal(scene.world.header(MessageType::ready), as_bytes("x"));
  first->deliver(up);
  second->deliver(up);
  EXPECT_EQ(code_of([&] { first->deliver(up); }), "border.road_down");
  EXPECT_EQ(scene.hub->connected(), std::vector<SiteId>{alba});
}

}  // namespace
}  // namespace concordat::border::testing
