// A site that was away for more rounds than aggregates are kept: it hears of every round, goes on
// without what is gone, and comes back from the state of a donor.
#include "site/donation_request.hpp"
#include "site/state_import.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site::testing {
namespace {

constexpr std::uint32_t giver = 0, late = 3;

/// Four rounds are over, of which a site took part in the first; two aggregates are kept.
struct Absence {
  explicit Absence(bool lose = false) : world(7, 4, std::chrono::milliseconds(50), 2) {
    world.turn_until([&] { return world.ranks[late].round() == 1; });
    world.ranks[late].away = true;
    world.stop_border(late);
    world.turn_until([&] { return world.ranks[giver].round() == 5; });
    // Too few are left for a manifest: the newest closed exchange stays that of round 4.
    world.ranks[giver].away = true;
    world.turn_until([&] { return world.borders[giver]->status().starts_with("round 5"); });
    world.ranks[giver].keep_generation(4);
    world.donate_to[giver] = {SiteId{late}};
    world.start_border(giver);
    if (lose) posix_files().remove_all(run(late));
    world.donor[late] = SiteId{giver};
  }
  FileSystem::Path run(std::uint32_t site) const { return world.site_folder(site) / "runs/demo"; }
  std::string ledger(const FileSystem::Path& folder) const {
    return read_text(posix_files(), folder / "ledger" / "log.jsonl");
  }
  std::optional<NeededState> needed() const { return read_needed_state(posix_files(), run(late)); }
  bool here() const { return read_imported(posix_files(), run(late)).has_value(); }
  void ask() { write_donation_request(posix_files(), run(giver), "sited"); }
  /// True if a ledger has an entry for exactly the rounds 1 and 2.
  bool says_forgone(const FileSystem::Path& folder) const {
    const std::string text = ledger(folder);
    const auto has = [&](int round) {
      return text.find("forgone/" + std::to_string(round) + ".0.0/site-3") != std::string::npos;
    };
    return !has(0) && has(1) && has(2) && !has(3) && !has(4);
  }
  void come_back() {
    world.start_border(late);
    world.turn_until([&] { return world.borders[late]->status().starts_with("round 5"); });
    world.turn();
    EXPECT_EQ(needed(), (NeededState{"sitea", Round{2}}));
    EXPECT_FALSE(
        posix_files().exists(world.ranks[late].folder().aggregate_blocks({Round{1}, {}, {}})));
    EXPECT_TRUE(
        posix_files().exists(world.ranks[late].folder().aggregate_blocks({Round{3}, {}, {}})));
    ask();
    world.turn_until([&] { return here(); });
    go_on();
  }
  void go_on() {
    EXPECT_EQ(needed(), std::nullopt);
    EXPECT_TRUE(says_forgone(world.site_folder(late)));
    EXPECT_TRUE(says_forgone(world.root.path() / "hub"));
    world.ranks[giver].away = world.ranks[late].away = false;
    world.ranks[late].begin_at(4);
    world.run_to_end();
    EXPECT_EQ(world.ranks[late].round(), 7U);
    EXPECT_EQ(world.audit(), "");
  }
  BorderWorld world;
};

TEST(BorderForgone, ASiteThatWasAwayForTooLongComesBackFromADonor) { Absence().come_back(); }

TEST(BorderForgone, SoDoesOneWhoseDiskWasLostMeanwhile) { Absence(true).come_back(); }

TEST(BorderForgone, ARestartedCoordinatorSaysAllOfItAgain) {
  Absence absence;
  absence.world.start_hub();
  absence.world.start_border(late);
  absence.ask();
  for (int i = 0; i < 2'000 && !absence.here(); ++i) {
    absence.world.turn();
    if (i % 5 == 4) absence.world.start_hub();
  }
  ASSERT_TRUE(absence.here());
  absence.go_on();
}

TEST(BorderForgone, ACrashAtEveryChangeOfTheCoordinator) {
  Absence absence;
  BorderWorld& world = absence.world;
  const auto relay = world.root.path() / "hub" / "relay" / "site-3";
  const auto over = [&] { return absence.here() && posix_files().list(relay).empty(); };
  absence.ask();
  world.start_border(late);
  std::uint64_t next = 1;
  int crashes = 0;
  world.hub_files.fail_at(next);
  for (int i = 0; i < 20'000 && !over(); ++i) {
    try {
      world.turn();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), concordat::errors::disk_full);
      world.hub_files.heal();
      world.start_hub();
      ++crashes;
      world.hub_files.fail_at(next = next > 30 ? 1 : next + 1);
    }
  }
  world.hub_files.heal();
  EXPECT_GT(crashes, 10);
  EXPECT_EQ(world.crashes, 0) << "no border may die of it";
  ASSERT_TRUE(over());
  absence.go_on();
}

TEST(BorderForgone, ACrashAtEveryChangeOfTheBorderThatComesBack) {
  Absence absence;
  absence.ask();
  absence.world.start_border(late);
  std::uint64_t next = 1;
  absence.world.files[late]->fail_at(next);
  for (int i = 0; i < 20'000 && !absence.here(); ++i) {
    absence.world.turn();
    if (absence.world.borders[late]) continue;
    absence.world.files[late]->heal();
    absence.world.start_border(late);
    absence.world.files[late]->fail_at(next = next > 60 ? 3 : next + 1);
  }
  absence.world.files[late]->heal();
  if (!absence.world.borders[late]) absence.world.start_border(late);
  EXPECT_GT(absence.world.crashes, 20);
  ASSERT_TRUE(absence.here());
  absence.world.turn_until([&] { return !absence.needed(); });
  absence.go_on();
}

// Nothing can be held against the state of a round that this site has not heard of.
TEST(BorderForgone, ASiteWithADonorThatDoesNotGiveWaitsForIt) {
  Absence absence;
  absence.world.start_border(late);
  for (int i = 0; i < 300; ++i) absence.world.turn();
  EXPECT_EQ(absence.world.borders[late]->status(), "round 5, idle");
  EXPECT_EQ(absence.needed(), (NeededState{"sitea", Round{2}}));
}

}  // namespace
}  // namespace concordat::site::testing
