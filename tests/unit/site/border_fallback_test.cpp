// Generations that nobody can see from outside to be damaged: the job falls back further than what
// is in its run folder reaches, and says so by announcing a round that is over.
#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/site/border_loss.hpp"

namespace concordat::site::testing {
namespace {

/// Aggregates that a run so far on has forgotten.
void forget(KnownRanks& ranks, std::uint32_t rounds) {
  for (std::uint32_t round = 0; round < rounds; ++round) {
    ranks.folder().remove_exchange({Round{round}, {}, {}});
  }
}

/// As a job does that found nothing better than the initial state.
void announce_round_0(KnownRanks& ranks) {
  const auto key = crypto::OpeningKey::generate(crypto::system_random());
  ranks.folder().write_key({}, make_nonce(crypto::system_random()),
                           {key.seal_key(), KnownRanks::state_of(0), 1, "none"});
}

void turn_for_a_minute(BorderWorld& world) {
  for (int i = 0; i < 10; ++i) {
    world.clock.sleep(std::chrono::seconds(6));
    world.turn();
  }
}

TEST(BorderFallback, AJobThatFellBackBehindWhatIsHereGetsADonorsState) {
  Loss loss(4, false);
  KnownRanks& ranks = loss.world.ranks[lost];
  ranks.keep_generation(2);
  forget(ranks, 2);
  turn_for_a_minute(loss.world);
  EXPECT_EQ(loss.needed(), std::nullopt);  // its newest generation needs nothing
  announce_round_0(ranks);
  turn_for_a_minute(loss.world);
  EXPECT_EQ(loss.needed(), (NeededState{"sitea", Round{1}}));
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  EXPECT_EQ(loss.needed(), std::nullopt);
  EXPECT_TRUE(ranks.folder().key_nonces({}).empty());
  loss.go_on();
}

TEST(BorderFallback, WhoRestoresTheGenerationNeedsNothingAnyMore) {
  Loss loss(4, false);
  KnownRanks& ranks = loss.world.ranks[lost];
  ranks.keep_generation(2);
  forget(ranks, 2);
  announce_round_0(ranks);
  turn_for_a_minute(loss.world);
  EXPECT_TRUE(loss.needed());
  forget(ranks, 1);  // by a job that announces round 2
  turn_for_a_minute(loss.world);
  EXPECT_EQ(loss.needed(), std::nullopt);
  ranks.away = false;
  loss.world.run_to_end();
  EXPECT_EQ(loss.world.audit(), "");
}

TEST(BorderFallback, AJobThatFellBackWithinWhatIsHereIsAnsweredForEachExchange) {
  BorderWorld world(4);
  world.turn_until([&] { return world.ranks[0].round() == 3; });
  for (const bool restarted : {false, true}) {
    if (restarted) world.start_border(0);
    for (std::uint32_t round = 0; round < 3; ++round) {
      const RankSecrets secrets =
          world.ranks[0].ask_again({Round{round}, {}, {}}, [&] { world.turn(); });
      EXPECT_EQ(secrets.participants.size(), 3U);
      EXPECT_EQ(secrets.seeds.size(), 0U) << "nothing is masked twice";
    }
  }
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderFallback, WithoutADonorItIsSaidAlsoInTheMiddleOfAnExchange) {
  BorderWorld world(4);
  world.turn_until([&] { return world.ranks[0].round() == 2; });
  world.ranks[0].hold_commit = true;
  world.turn_until([&] { return world.borders[0]->status() == "round 2, going"; });
  forget(world.ranks[0], 2);
  announce_round_0(world.ranks[0]);
  EXPECT_ERROR_SAYS(turn_for_a_minute(world), errors::too_far_behind, "exchange 0.0.0");
}

// What was committed needs no job to end.
TEST(BorderFallback, ACommittedExchangeIsEndedFirst) {
  BorderWorld world(4);
  world.turn_until([&] { return world.ranks[0].round() == 2; });
  world.ranks[1].hold_commit = true;
  world.turn_until([&] { return world.borders[0]->status() == "round 2, committed"; });
  forget(world.ranks[0], 2);
  world.ranks[0].away = true;
  announce_round_0(world.ranks[0]);
  turn_for_a_minute(world);
  world.ranks[1].hold_commit = false;
  world.turn_until([&] { return world.borders[0]->status() == "round 3, idle"; });
  EXPECT_ERROR_SAYS(turn_for_a_minute(world), errors::too_far_behind, "exchange 0.0.0");
}

}  // namespace
}  // namespace concordat::site::testing
