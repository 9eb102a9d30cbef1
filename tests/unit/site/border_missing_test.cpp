// Four sites, one of them without a job for a while: the others go on, its border takes what it
// missed alone, and its job takes part again.
#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site::testing {
namespace {

constexpr std::uint32_t late = 3;
constexpr std::chrono::milliseconds deadline{50};

TEST(BorderMissing, ABorderWithoutAJobTakesWhatItsSiteMissedAndTheJobTakesPartAgain) {
  BorderWorld world(5, 4, deadline);
  world.ranks[late].away = true;
  world.turn_until([&] { return world.ranks[0].round() == 2; });
  // The border needs no job for it.
  world.turn_until([&] { return world.borders[late]->status().starts_with("round 2"); });
  EXPECT_EQ(world.ranks[late].round(), 0U);
  world.ranks[late].away = false;
  world.run_to_end();
  EXPECT_EQ(world.ranks[late].round(), 5U);
  EXPECT_GE(world.ranks[late].missed(), 2U);
  EXPECT_LT(world.ranks[late].missed(), 5U) << "it took part again";
  for (std::uint32_t i = 0; i < late; ++i) EXPECT_EQ(world.ranks[i].missed(), 0U);
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderMissing, WithoutADeadlineEverybodyIsWaitedFor) {
  BorderWorld world(1, 4);
  world.ranks[late].away = true;
  for (int i = 0; i < 300; ++i) world.turn();
  EXPECT_EQ(world.ranks[0].round(), 0U);
  EXPECT_NE(world.hub->status().find("waiting for sited (site 3)"), std::string::npos)
      << world.hub->status();
  world.ranks[late].away = false;
  world.run_to_end();
  EXPECT_EQ(world.ranks[late].missed(), 0U);
}

TEST(BorderMissing, TheStatusSaysForWhomItWaitsHowLongStillAndWithoutWhomItGoesOn) {
  BorderWorld world(1, 4, std::chrono::milliseconds(60'000));
  world.ranks[late].away = true;
  world.turn_until([&] { return world.hub->status().find("UTC at most") != std::string::npos; });
  // The clock of tests stands still for people: 2027-01-15 08:00:00.
  const std::string waiting = world.hub->status();
  EXPECT_EQ(waiting,
            "round 0 of 1: gathering, waiting for sited (site 3), until 2027-01-15 08:01:00 UTC at "
            "most");
  // It does not change while it waits, so neither log nor page repeats it.
  for (int i = 0; i < 20; ++i) {
    world.clock.sleep(std::chrono::seconds(2));
    world.turn();
    EXPECT_EQ(world.hub->status(), waiting);
  }
  world.clock.sleep(std::chrono::seconds(60));
  world.turn_until([&] { return world.hub->status().find("without") != std::string::npos; });
  EXPECT_NE(world.hub->status().find("without sited (site 3)"), std::string::npos)
      << world.hub->status();
}

TEST(BorderMissing, AJobThatComesAfterTheManifestWaitsForTheNextRound) {
  BorderWorld world(3, 4, deadline);
  world.ranks[late].away = true;
  world.ranks[0].hold_commit = true;
  world.turn_until([&] { return world.borders[0]->status() == "round 0, going"; });
  world.ranks[late].away = false;
  for (int i = 0; i < 50; ++i) world.turn();
  EXPECT_EQ(world.borders[late]->status(), "round 0, ready");
  EXPECT_NE(world.hub->status().find("without sited (site 3)"), std::string::npos)
      << world.hub->status();
  world.ranks[0].hold_commit = false;
  world.run_to_end();
  EXPECT_GE(world.ranks[late].missed(), 1U);
  EXPECT_EQ(world.audit(), "");
}

// Its job dies behind the commit, and the others go on before it has taken the outer step.
TEST(BorderMissing, AJobMayAskForTheLastExchangeThatItTookPartIn) {
  BorderWorld world(5, 4, deadline);
  world.turn_until([&] { return world.ranks[late].folder().has_commit({}); });
  world.ranks[late].away = true;
  world.turn_until([&] { return world.ranks[0].round() == 3; });
  const RankSecrets secrets = world.ranks[late].ask_again({}, [&] { world.turn(); });
  EXPECT_EQ(secrets.participants.size(), 4U);
  EXPECT_EQ(secrets.seeds.size(), 0U);
  world.ranks[late].away = false;
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderMissing, ARestartedCoordinatorStillHasWhatTheMissingNeed) {
  BorderWorld world(5, 4, deadline);
  int behind = 0;
  for (int i = 0; i < 900 && !world.hub_ended; ++i) {
    world.ranks[late].away = world.ranks[0].round() % 4 < 2;
    world.turn();
    if (i % 7 != 6) continue;
    const std::uint32_t at = world.borders[late]->position().round.value();
    if (world.ranks[0].round() > at) ++behind;
    world.start_hub();
  }
  EXPECT_GT(behind, 0) << "never while the missing site still had something to take";
  world.ranks[late].away = false;
  world.run_to_end();
  EXPECT_GE(world.ranks[late].missed(), 1U);
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderMissing, ABorderThatWasAwayForAllOfItHearsOfEveryRound) {
  BorderWorld world(4, 4, deadline);
  world.ranks[late].away = true;
  world.stop_border(late);
  world.turn_until([&] { return world.ranks[0].round() == 3; });
  world.start_hub();
  world.ranks[late].away = false;
  world.run_to_end();
  EXPECT_GE(world.ranks[late].missed(), 3U);
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderMissing, AggregatesAreKeptForTheSiteThatIsFurthestBehindAndNoLonger) {
  BorderWorld world(6, 4, deadline);
  const auto kept = [&](std::uint32_t round) {
    return posix_files().exists(world.root.path() / "hub" / "exchanges" /
                                (std::to_string(round) + ".0.0") / "aggregate.sum");
  };
  world.ranks[late].away = true;
  world.stop_border(late);
  world.turn_until([&] { return world.ranks[0].round() == 4; });
  for (std::uint32_t round = 0; round < 4; ++round) EXPECT_TRUE(kept(round)) << round;
  // Its border has them durably once it has said so, with a job or without.
  world.start_border(late);
  world.turn_until([&] { return world.borders[late]->status().starts_with("round 4"); });
  world.turn();
  for (std::uint32_t round = 0; round < 2; ++round) EXPECT_FALSE(kept(round)) << round;
  world.ranks[late].away = false;
  world.run_to_end();
  for (std::uint32_t round = 0; round < 4; ++round) EXPECT_FALSE(kept(round)) << round;
  // The aggregates' frame keys are gone as well.
  EXPECT_TRUE(posix_files().list(world.root.path() / "hub" / "journal" / "secrets").empty());
}

TEST(BorderMissing, BeyondWhatIsKeptASiteIsToldThatItNeedsTheStateOfAnother) {
  BorderWorld world(5, 4, deadline, 2);
  world.ranks[late].away = true;
  world.stop_border(late);
  world.turn_until([&] { return world.ranks[0].round() == 4; });
  world.start_border(late);
  EXPECT_ERROR_SAYS(for (int i = 0; i < 500; ++i) world.turn(), errors::too_far_behind,
                    "federation.donor");
}

TEST(BorderMissing, WhatIsGoneIsNotWaitedForWhenMoreIsKeptFromNowOn) {
  BorderWorld world(5, 4, deadline, 2);
  world.ranks[late].away = true;
  world.stop_border(late);
  world.turn_until([&] { return world.ranks[0].round() == 4; });
  world.keep_rounds = 32;
  world.start_hub();
  world.start_border(late);
  EXPECT_ERROR_SAYS(for (int i = 0; i < 500; ++i) world.turn(), errors::too_far_behind,
                    "exchange 0.0.0");
}

/// Files of a folder that this process holds open.
std::size_t open_files_in(const FileSystem::Path& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (!gone && target.starts_with(folder.string() + "/")) ++count;
  }
  return count;
}

TEST(BorderMissing, ASiteThatIsAwayForLongCostsTheCoordinatorNoOpenFiles) {
  BorderWorld world(24, 4, deadline, 10);
  const FileSystem::Path hub = world.root.path() / "hub";
  world.ranks[late].away = true;
  world.stop_border(late);
  world.turn_until([&] { return world.ranks[0].round() == 2; });
  const std::size_t early = open_files_in(hub);
  world.turn_until([&] { return world.ranks[0].round() == 22; }, 20'000);
  EXPECT_LE(open_files_in(hub), early + 1);
  world.start_hub();
  EXPECT_LE(open_files_in(hub), early + 1) << "nor after a restart";
  // It hears all the same that it was away for too long.
  world.start_border(late);
  EXPECT_ERROR_SAYS(for (int i = 0; i < 500; ++i) world.turn(), errors::too_far_behind,
                    "exchange 0.0.0");
}

TEST(BorderMissing, AfterARestartTheCoordinatorSaysNothingThatASiteAcknowledged) {
  BorderWorld world(8, 4, deadline);
  world.ranks[late].away = true;
  world.turn_until([&] { return world.borders[late]->status().starts_with("round 4"); });
  world.turn();
  world.stop_border(late);
  world.ranks[0].away = true;  // nothing new is closed
  for (int i = 0; i < 50; ++i) world.turn();
  world.start_hub();
  const int before = world.roads[late]->acknowledged;
  world.start_border(late);
  const Round at = world.borders[late]->position().round;
  for (int i = 0; i < 50; ++i) world.turn();
  // What was closed while its border was stopped, and no more.
  const std::uint32_t closed = world.borders[late]->position().round.value() - at.value();
  EXPECT_EQ(world.roads[late]->acknowledged - before, static_cast<int>(5 * closed));
}

TEST(BorderMissing, AJobWhoseRunFolderWasLostIsNamedInsteadOfWaitedFor) {
  BorderWorld world(4);
  world.turn_until([&] { return world.ranks[0].round() == 2; });
  world.ranks[0].away = true;
  world.turn_until([&] { return world.borders[0]->status() == "round 2, idle"; });
  const FileSystem::Path run = world.site_folder(0) / "runs" / "demo";
  posix_files().remove_all(run / "inbox");
  posix_files().remove_all(run / "outbox");
  const auto key = crypto::OpeningKey::generate(crypto::system_random());
  world.ranks[0].folder().write_key({}, make_nonce(crypto::system_random()),
                                    {key.seal_key(), KnownRanks::state_of(0), 1, "none"});
  const auto look = [&] {
    for (int i = 0; i < 20; ++i) {
      world.clock.sleep(std::chrono::seconds(6));
      world.turn();
    }
  };
  EXPECT_ERROR_SAYS(look(), errors::too_far_behind, "exchange 0.0.0");
}

TEST(BorderMissing, ADamagedAggregateOfAMissedRoundIsRefused) {
  BorderWorld world(2, 4, deadline);
  world.ranks[late].away = true;
  world.roads[late]->damage_frame = true;
  EXPECT_ERROR(for (int i = 0; i < 5'000; ++i) world.turn(), border::errors::not_authentic);
  EXPECT_EQ(world.ranks[late].folder().read_closed({}), std::nullopt);
}

// The border of the missing site dies twice in each round that it misses, half of the round's
// changes to its disk apart, and each time one change later, until it died at each; and again while
// it starts.
TEST(BorderMissing, ACrashAtEveryChangeOfTheMissingSitesBorder) {
  BorderWorld world(400, 4, deadline);
  testing_support::FaultyFiles& disk = *world.files[late];
  world.ranks[late].away = true;
  int crashes_at_start = 0;
  const auto start_again = [&](std::uint64_t change) {
    disk.fail_at(change);
    try {
      world.start_border(late);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), concordat::errors::disk_full);
      ++crashes_at_start;
    }
    disk.heal();
    if (!world.borders[late]) world.start_border(late);
  };
  // Returns how often it died.
  const auto miss = [&](std::uint32_t round, std::uint64_t first, std::uint64_t then) {
    const int before = world.crashes;
    EXPECT_EQ(world.borders[late]->position(), (BorderLoop::Position{Round{round}, "idle"}));
    disk.fail_at(first);
    for (int i = 0; i < 5'000 && world.borders[late]->position().round == Round{round}; ++i) {
      world.turn();
      if (world.borders[late]) continue;
      start_again(1 + first % 20);
      if (world.crashes == before + 1) disk.fail_at(then);
    }
    const auto closed = world.ranks[late].folder().read_closed({Round{round}, {}, {}});
    EXPECT_TRUE(closed && !closed->took_part) << "round " << round;
    return world.crashes - before;
  };
  constexpr std::uint64_t never = 1'000'000;
  ASSERT_EQ(miss(0, never, never), 0);
  const std::uint64_t changes = disk.changes();
  EXPECT_GE(changes, 40U);
  const std::uint64_t half = (changes + 1) / 2;
  std::uint32_t round = 1;
  for (std::uint64_t change = 1; change <= half; ++change, ++round) {
    // What is done already is not done again, so the last may not be reached a second time.
    const int least = change + half < changes - 5 ? 2 : 1;
    EXPECT_GE(miss(round, change, half), least) << "change " << change << " of " << changes;
  }
  disk.heal();
  EXPECT_GT(crashes_at_start, 10);
  // Its job takes what was fetched by fits and starts, sum by sum, and then part.
  world.ranks[late].away = false;
  world.turn_until([&] { return world.ranks[late].round() > world.ranks[late].missed(); });
  EXPECT_GE(world.ranks[late].missed(), round);
  EXPECT_EQ(world.audit(), "");
}

}  // namespace
}  // namespace concordat::site::testing
