// Whole exchanges in memory: every interleaving, repetition, reordering and restart ends alike.
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/federation/world.hpp"

namespace concordat::federation::test {
namespace {

TEST(Exchange, ClosesInOrderWithThreeToFiveSites) {
  for (std::uint32_t num_sites : {3U, 4U, 5U}) {
    World world(num_sites, 1, false);
    world.run();
    ASSERT_TRUE(world.all_closed()) << num_sites;
    for (const SiteExchange& site : world.sites) {
      EXPECT_EQ(site.closing(), world.hub->closing());
      EXPECT_EQ(site.chain(), world.hub->chain());
      EXPECT_EQ(site.closing().total_weight, 4321U);
      EXPECT_EQ(site.closing().survivors().size(), num_sites);
    }
    world.check_replays();
  }
}

TEST(Exchange, ClosesUnderEverySeededDisturbance) {
  Chain expected;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    auto num_sites = static_cast<std::uint32_t>(3 + seed % 3);
    World world(num_sites, seed, true);
    world.run();
    ASSERT_TRUE(world.all_closed()) << "seed " << seed;
    world.check_replays();
    // The record depends on what was said, not on when: equal for equal numbers of sites.
    if (seed == 0) expected = world.hub->chain();
    if (num_sites == 3) {
      EXPECT_EQ(world.hub->chain(), expected) << "seed " << seed;
    }
  }
}

TEST(Exchange, RoundsFormAChainAndEndWithAProofOfState) {
  World world(3, 5, true);
  world.run();
  Chain first = world.hub->chain();
  world.begin(Round{1}, first);
  world.run();
  ASSERT_TRUE(world.all_closed());
  EXPECT_EQ(world.hub->manifest().previous_closing, first.closing);
  Chain second = world.hub->chain();
  EXPECT_NE(second.closing, first.closing);
  EXPECT_EQ(second.heads[0].size, 2U);

  world.begin(Round{2}, second);
  world.run();
  EXPECT_EQ(world.hub->phase(), CoordinatorPhase::finished);
  for (SiteExchange& site : world.sites) {
    EXPECT_EQ(site.phase(), SitePhase::ready);
    Effects effects = site.handle(FinalReadyAcknowledged{});
    ASSERT_EQ(effects.size(), 1U);
    EXPECT_EQ(std::get<Finish>(effects[0]).state, digest_of("state"));
    EXPECT_EQ(site.phase(), SitePhase::finished);
  }
}

TEST(Exchange, CoordinatorSaysForWhomItWaits) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes&) { return header.sender != SiteId{1}; };
  world.run();
  EXPECT_EQ(world.hub->phase(), CoordinatorPhase::gathering);
  EXPECT_EQ(world.hub->waiting_for(), std::vector<SiteId>{SiteId{1}});
}

TEST(Exchange, NothingIsReleasedBeforeEveryCosignature) {
  World world(3, 1, false);
  world.intercept = [](border::Header& header, Bytes&) {
    return !(header.type == border::MessageType::cosign && header.sender == SiteId{2});
  };
  world.run();
  for (const SiteExchange& site : world.sites) EXPECT_EQ(site.phase(), SitePhase::cosigned);
  EXPECT_EQ(world.hub->phase(), CoordinatorPhase::cosigning);
}

TEST(Exchange, EventsSurviveTheJournal) {
  World world(3, 1, false);
  Incoming incoming;
  incoming.header.type = border::MessageType::survivors;
  incoming.header.sender = coordinator_id;
  incoming.header.index = 3;
  incoming.body = {1, 2, 3};
  for (const Event& event :
       {Event(Start{world.ready_of(1)}), Event(incoming), Event(Committed{world.sum()}),
        Event(AggregateStored{digest_of("x"), 9}), Event(FinalReadyAcknowledged{}),
        Event(UploadStored{SiteId{2}}), Event(Summed{world.sum(), 12}), Event(Deadline{}),
        Event(Forgone{})}) {
    Bytes bytes = encode(event);
    EXPECT_EQ(encode(decode_event(bytes)), bytes);
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_THROW(decode_event(longer), Error);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THROW(decode_event(ByteView(bytes).first(size)), Error) << size;
    }
  }
}

TEST(Exchange, ThresholdIsThatOfTheDesign) {
  EXPECT_EQ(threshold(3, 1), 3U);
  EXPECT_EQ(threshold(4, 1), 3U);
  EXPECT_EQ(threshold(5, 1), 4U);
  EXPECT_EQ(threshold(6, 1), 4U);
  EXPECT_EQ(threshold(7, 1), 5U);
  EXPECT_EQ(threshold(8, 1), 5U);
}

TEST(Exchange, AnEventOfTheOtherRoleIsABug) {
  World world(3, 1, false);
  EXPECT_THROW(world.sites[0].handle(Summed{}), Bug);
  EXPECT_THROW(world.sites[0].handle(UploadStored{}), Bug);
  EXPECT_THROW(world.sites[0].handle(Deadline{}), Bug);
  EXPECT_THROW(world.hub->handle(Start{}), Bug);
  EXPECT_THROW(world.hub->handle(Committed{}), Bug);
  EXPECT_THROW(world.hub->handle(Forgone{}), Bug);
}

}  // namespace
}  // namespace concordat::federation::test
