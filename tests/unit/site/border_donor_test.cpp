// A site whose run folder is lost gets the state of another: over real borders and a real
// coordinator, which sees sealed bytes alone.
#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/site/border_loss.hpp"

namespace concordat::site::testing {
namespace {

Bytes bytes_of(const std::vector<float>& values) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(values.data());
  return Bytes(first, first + 4 * values.size());
}

TEST(BorderDonor, ALostStateComesFromAnotherSiteAndTheRunGoesOn) {
  Loss loss;
  loss.turns(3);
  EXPECT_EQ(loss.needed(), (NeededState{"sitea", Round{1}}));
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  for (const char* vector : {"model", "m", "scales"}) {
    EXPECT_EQ(read_file(posix_files(), import_vector(loss.run(lost), vector)),
              bytes_of(KnownRanks::outer(vector, 1)))
        << vector;
  }
  EXPECT_EQ(loss.needed(), std::nullopt);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  EXPECT_NE(loss.ledger(giver).find("\"rule\":\"donated\""), std::string::npos);
  loss.go_on();
  EXPECT_EQ(loss.kept_at_hub(), 0U);
}

TEST(BorderDonor, OnARoadThatTakesItsTimeEachPieceIsDecidedOnOnce) {
  const auto decisions = [](int waits) {
    Loss loss;
    for (auto& road : loss.world.roads) road->waits = waits;
    loss.ask(giver);
    loss.world.turn_until([&] { return loss.here(); });
    loss.world.turn_until([&] { return !loss.asked(giver); });
    const std::string log = loss.ledger(giver);
    int found = 0;
    for (auto at = log.find("\"donated\""); at != log.npos; at = log.find("\"donated\"", at + 1)) {
      ++found;
    }
    loss.go_on();
    return found;
  };
  EXPECT_EQ(decisions(3), decisions(0));
}

TEST(BorderDonor, NothingLeavesASiteThatAllowsNobody) {
  Loss loss;
  loss.world.donate_to.clear();
  loss.world.start_border(giver);
  loss.ask(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  loss.turns(20);
  EXPECT_FALSE(loss.here());
  EXPECT_NE(loss.ledger(giver).find("\"rule\":\"not_a_recipient\""), std::string::npos);
  EXPECT_EQ(loss.ledger(giver).find("\"kind\":\"state_blocks\""), std::string::npos);
  EXPECT_FALSE(posix_files().exists(loss.world.root.path() / "hub" / "relay" / "site-2"));
  // It may change its mind.
  loss.allow(giver);
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonor, ASiteThatIsNotTheDonorIsTurnedAwayAndStandsInNobodysWay) {
  Loss loss;
  loss.world.ranks[1].keep_generation(1);
  loss.allow(1);
  loss.ask(1);
  loss.world.turn_until([&] { return !loss.asked(1); });
  loss.world.turn_until([&] { return loss.kept_at_hub() == 0; });
  EXPECT_FALSE(posix_files().exists(import_folder(loss.run(lost))));
  EXPECT_NE(loss.ledger(lost).find("site.state_refused"), std::string::npos);
  EXPECT_EQ(loss.ledger(lost).find("\"kind\":\"state_blocks\""), std::string::npos);
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonor, AStateThatNobodyNeedsIsTurnedAway) {
  Loss loss(4, false);
  loss.ask(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  loss.world.turn_until([&] { return loss.kept_at_hub() == 0; });
  EXPECT_FALSE(posix_files().exists(import_folder(loss.run(lost))));
  EXPECT_NE(loss.ledger(lost).find("site.state_refused"), std::string::npos);
  loss.world.ranks[lost].away = false;
  loss.world.run_to_end();
  EXPECT_EQ(loss.world.audit(), "");
}

TEST(BorderDonor, ADonorWithoutTheGenerationGivesNothingAndGoesOn) {
  Loss loss;
  posix_files().remove_all(loss.run(giver) / "checkpoints" / "step-001001");
  loss.ask(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  EXPECT_FALSE(loss.here());
  loss.world.ranks[giver].keep_generation(1);
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonor, ADonorWhoseGenerationIsNotWhatWasCosignedGivesNothing) {
  Loss loss;
  const auto path = loss.run(giver) / "checkpoints" / "step-001001";
  const auto manifest = checkpoint::read_manifest(posix_files(), path);
  for (const auto& dataset : manifest.datasets) {
    if (dataset.name != "outer/m") continue;
    const Bytes wrong{0x55};
    posix_files()
        .open(path / "state.h5", OpenMode::read_write)
        ->write_at(dataset.offset + 4096, wrong);
  }
  loss.ask(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  EXPECT_EQ(loss.kept_at_hub(), 0U);
  EXPECT_FALSE(loss.here());
}

TEST(BorderDonor, TheCoordinatorKeepsOnlySoMuchForASiteThatDoesNotFetch) {
  Loss loss;
  loss.world.stop_border(lost);
  // Thirteen messages each time: the third finds no room for all of its own.
  for (int i = 0; i < 3; ++i) {
    loss.ask(giver);
    for (int turn = 0; turn < 100; ++turn) loss.world.turn();
    EXPECT_EQ(loss.asked(giver), i == 2);
  }
  EXPECT_EQ(loss.kept_at_hub(), 32U);
  loss.world.start_hub();
  loss.world.start_border(lost);
  loss.world.turn_until([&] {
    loss.world.clock.sleep(std::chrono::seconds(1));
    return loss.here() && !loss.asked(giver) && loss.kept_at_hub() == 0;
  });
  loss.go_on();
}

TEST(BorderDonor, AFolderThatIsLostAgainIsGivenAgain) {
  Loss loss;
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here() && !loss.asked(giver); });
  loss.world.stop_border(lost);
  posix_files().remove_all(loss.run(lost));
  loss.world.start_border(lost);
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

// The site had said that it was ready; the others wait for its update, which nothing of was
// committed.
TEST(BorderDonor, AStateThatIsLostInTheMiddleOfAnExchangeComesBackInTime) {
  BorderWorld world(4);
  world.turn_until([&] { return world.ranks[lost].round() == 2; });
  world.ranks[lost].hold_commit = true;
  world.turn_until([&] { return world.borders[lost]->status() == "round 2, going"; });
  world.ranks[lost].away = true;
  world.stop_border(lost);
  world.ranks[giver].keep_generation(1);
  const FileSystem::Path run = world.site_folder(lost) / "runs" / "demo";
  posix_files().remove_all(run);
  world.donor[lost] = SiteId{giver};
  world.donate_to[giver] = {SiteId{lost}};
  world.start_border(giver);
  world.start_border(lost);
  write_donation_request(posix_files(), world.site_folder(giver) / "runs" / "demo", "sitec");
  world.turn_until([&] { return read_imported(posix_files(), run).has_value(); });
  EXPECT_EQ(world.borders[lost]->status(), "round 2, going");
  world.ranks[lost].away = world.ranks[lost].hold_commit = false;
  world.ranks[lost].begin_at(1);
  world.run_to_end();
  EXPECT_EQ(world.ranks[lost].round(), 4U);
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderDonor, AnUpdateThatWasCommittedAndLostIsNotMadeAgain) {
  BorderWorld world(2);
  world.turn_until([&] { return world.borders[lost]->status() == "round 0, committed"; });
  world.stop_border(lost);
  world.ranks[lost].away = true;
  posix_files().remove_all(world.site_folder(lost) / "runs");
  world.donor[lost] = SiteId{giver};
  world.start_border(lost);
  EXPECT_ERROR_SAYS(for (int i = 0; i < 50; ++i) world.turn(), errors::bad_run_file,
                    "nothing is masked twice");
}

// Both borders die at every change that they make to their disks while the state crosses.
TEST(BorderDonor, ACrashAtEveryChangeOfDonorAndRecipient) {
  for (const std::uint32_t victim : {giver, lost}) {
    Loss loss;
    loss.ask(giver);
    std::uint64_t next = 1;
    loss.world.files[victim]->fail_at(next);
    for (int i = 0; i < 20'000 && !(loss.here() && !loss.asked(giver)); ++i) {
      loss.world.turn();
      if (loss.world.borders[victim]) continue;
      loss.world.files[victim]->heal();
      loss.world.start_border(victim);
      loss.world.files[victim]->fail_at(next = next > 60 ? 3 : next + 1);
    }
    loss.world.files[victim]->heal();
    EXPECT_GT(loss.world.crashes, 20);
    ASSERT_TRUE(loss.here());
    loss.go_on();
  }
}

}  // namespace
}  // namespace concordat::site::testing
