// Readies that a coordinator does not take, and those that it must not stumble over.
#include "unit/coordinator/scene.hpp"

namespace concordat::coordinator::testing {
namespace {

TEST(Hostile, ASecondReadyIsRefusedAndKept) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::ready);
  border::Envelope first = scene.seal(SiteId(0), header, federation::encode(scene.ready(40)));
  border::Envelope second = scene.seal(SiteId(0), header, federation::encode(scene.ready(50)));
  road->deliver(first);
  EXPECT_EQ(refusal_of([&] { road->deliver(second); }), "border.equivocation");
  road->deliver(first);
  EXPECT_EQ(posix_files().list(scene.folder / "journal/receipts/evidence").size(), 1U);
  loop.reset();
  auto again = scene.start();
  EXPECT_EQ(refusal_of([&] { road->deliver(second); }), "border.equivocation");
  road->deliver(first);
}

TEST(Hostile, AReadyThatIsNotAcceptedNeverEndsTheCoordinator) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(1));
  auto header = scene.header(SiteId(1), border::MessageType::ready);
  auto refusal = [&](const federation::ReadyBody& body) {
    return refusal_of(
        [&] { road->deliver(scene.seal(SiteId(1), header, federation::encode(body))); });
  };
  auto other_state = scene.ready(40);
  other_state.state.bytes[0] ^= 1U;
  EXPECT_EQ(refusal(other_state), "federation.state_differs");
  auto no_secret = scene.ready(40);
  no_secret.mask = {};
  EXPECT_EQ(refusal(no_secret), "federation.fresh_key_refused");
  auto one_key = scene.ready(40);
  one_key.share = one_key.mask;
  EXPECT_EQ(refusal(one_key), "federation.fresh_key_refused");
  EXPECT_TRUE(loop->turn());
  EXPECT_EQ(refusal(scene.ready(40)), "") << "its honest ready is still welcome";
  EXPECT_TRUE(loop->turn());
  loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene),
            (std::vector<std::string>{"federation.state_differs", "federation.fresh_key_refused",
                                      "federation.fresh_key_refused"}));
}

TEST(Hostile, TheLastReadyWithAnotherStateIsRefusedAndTheCoordinatorGoesOn) {
  Drifting scene(2);
  scene.sites[0]->step(milliseconds(0));
  scene.sites[1]->step(milliseconds(0));
  EXPECT_EQ(refusal_of([&] { scene.sites[2]->step(milliseconds(0)); }), "federation.state_differs");
  EXPECT_TRUE(scene.loop->turn());
  EXPECT_EQ(refusal_of([&] { scene.sites[2]->step(milliseconds(0)); }), "federation.state_differs");
  EXPECT_TRUE(scene.loop->turn());
  scene.loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene).at(0), "federation.state_differs");
}

TEST(Hostile, AcceptedReadiesThatCannotAgreeEndTheCoordinatorWithARefusal) {
  Drifting scene(1);
  scene.sites[0]->step(milliseconds(0));
  scene.sites[1]->step(milliseconds(0));
  EXPECT_TRUE(scene.loop->turn());
  EXPECT_EQ(refusal_of([&] { scene.sites[2]->step(milliseconds(0)); }),
            "federation.accepted_states_differ");
  EXPECT_ERROR_SAYS(scene.loop->turn(), federation::errors::accepted_states_differ, "(site 1)");
  scene.loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene),
            std::vector<std::string>{"federation.accepted_states_differ"});
}

TEST(Hostile, AReadyOfAnotherRunIsNoEvidenceAgainstItsSite) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::ready);
  road->deliver(scene.seal(SiteId(0), header, federation::encode(scene.ready(40))));
  auto of_another_run = header;
  of_another_run.manifest = crypto::sha256(as_bytes("another agreement"));
  EXPECT_EQ(
      refusal_of([&] {
        road->deliver(scene.seal(SiteId(0), of_another_run, federation::encode(scene.ready(50))));
      }),
      "federation.wrong_exchange");
  EXPECT_TRUE(posix_files().list(scene.folder / "journal/receipts/evidence").empty());
}

TEST(Hostile, ASecondReadyForAClosedRoundIsRefusedAndKept) {
  Drifting scene(2);
  auto road = scene.road.site(SiteId(0));
  auto header = scene.header(SiteId(0), border::MessageType::ready);
  EXPECT_EQ(refusal_of([&] {
              road->deliver(scene.seal(SiteId(0), header, federation::encode(scene.ready(90))));
            }),
            "border.equivocation");
  EXPECT_EQ(posix_files().list(scene.folder / "journal/receipts/evidence").size(), 1U);
}

TEST(Hostile, ReadiesThatComeTooLateLeaveRoomForRealRefusals) {
  Scene scene(4);
  scene.deadline = milliseconds(1);
  auto loop = scene.start();
  std::vector<std::unique_ptr<border::SiteRoad>> roads;
  std::vector<std::unique_ptr<FakeSite>> sites;
  for (std::uint32_t i = 0; i < 3; ++i) {
    roads.push_back(scene.road.site(SiteId(i)));
    sites.push_back(std::make_unique<FakeSite>(
        scene.federation, SiteId(i), scene.temporary.path() / ("site-" + std::to_string(i)),
        *roads[i]));
    sites[i]->step(milliseconds(0));
  }
  while (loop->status().find("cosigning") == std::string::npos) ASSERT_TRUE(loop->turn());
  auto road = scene.road.site(SiteId(3));
  auto header = scene.header(SiteId(3), border::MessageType::ready);
  const border::Envelope late = scene.seal(SiteId(3), header, federation::encode(scene.ready(90)));
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(refusal_of([&] { road->deliver(late); }), "federation.too_late");
  }
  header.manifest = crypto::sha256(as_bytes("another agreement"));
  EXPECT_EQ(refusal_of([&] {
              road->deliver(scene.seal(SiteId(3), header, federation::encode(scene.ready(90))));
            }),
            "federation.wrong_exchange");
  loop.reset();
  EXPECT_EQ(refusals_in_ledger(scene), std::vector<std::string>{"federation.wrong_exchange"});
}

TEST(Hostile, AReadyForARoundThatHasNotBegunIsNamedAsThatAndTakesNothing) {
  Scene scene;
  auto loop = scene.start();
  auto road = scene.road.site(SiteId(0));
  auto body = scene.ready(40);
  body.round = Round{5};
  auto header = scene.header(SiteId(0), border::MessageType::ready, Round{5});
  EXPECT_EQ(
      refusal_of([&] { road->deliver(scene.seal(SiteId(0), header, federation::encode(body))); }),
      "coordinator.behind");
}

}  // namespace
}  // namespace concordat::coordinator::testing
