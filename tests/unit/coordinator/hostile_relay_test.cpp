// What a member may pass off as its state for another one.
#include "unit/coordinator/scene.hpp"

namespace concordat::coordinator::testing {
namespace {

TEST(Hostile, AStateUnderAnotherManifestNeitherEndsTheCoordinatorNorBarsTheDonor) {
  Giving scene;
  const Digest bogus = crypto::sha256(as_bytes("a manifest that nobody cosigned"));
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {}, bogus), "coordinator.not_passed_on");
  EXPECT_EQ(scene.give(SiteId(0), SiteId(2), 0, {}, scene.manifest()), "");
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {}, bogus), "coordinator.not_passed_on");
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {Round{1}, {}, {}}, bogus),
            "coordinator.not_passed_on");
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 0, {Round{0}, Fragment{7}, {}}, bogus),
            "coordinator.not_passed_on");
  EXPECT_TRUE(scene.loop->turn());
  EXPECT_EQ(scene.entries("passed_on"), 1U);
}

TEST(Hostile, ASecondStateUnderOneIdentityIsRefused) {
  Giving scene;
  const Digest manifest = scene.manifest();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 3, {}, manifest, "body " + std::to_string(i)),
              i == 0 ? "" : "border.equivocation");
  }
  EXPECT_EQ(scene.entries("passed_on"), 1U);
  EXPECT_TRUE(scene.loop->turn());
}

TEST(Hostile, WhoFillsTheQueueOfARecipientDoesNotBarTheDonor) {
  Giving scene;
  const Digest manifest = scene.manifest();
  std::string last;
  for (std::uint32_t serial = 0; last.empty() && serial < 100; ++serial) {
    last = scene.give(SiteId(1), SiteId(2), serial << 24U, {}, manifest);
  }
  EXPECT_EQ(last, "coordinator.relay_full");
  EXPECT_EQ(scene.give(SiteId(0), SiteId(2), 0, {}, manifest), "");
  // Nor after a restart.
  scene.loop.reset();
  scene.loop = scene.start();
  EXPECT_EQ(scene.give(SiteId(1), SiteId(2), 99U << 24U, {}, manifest), "coordinator.relay_full");
  EXPECT_EQ(scene.give(SiteId(0), SiteId(2), 1, {}, manifest), "");
}

}  // namespace
}  // namespace concordat::coordinator::testing
