// What goes wrong with a donor's state by malice, by a person's change of mind or by a kill.
#include "concordat/site/errors.hpp"
#include "site/donated_state.hpp"
#include "support/expect_error.hpp"
#include "unit/site/border_loss.hpp"

namespace concordat::site::testing {
namespace {

FileSystem::Path donation_of(const Loss& loss, std::uint32_t site, std::uint32_t to) {
  return loss.world.site_folder(site) / "journal" / "demo" / "donations" /
         ("site-" + std::to_string(to));
}

/// How far the recipient is, as its disk says.
bool has_taken(const Loss& loss, int pieces) {
  const auto path = import_folder(loss.run(lost)) / "progress";
  return posix_files().exists(path) &&
         read_text(posix_files(), path).find("next = " + std::to_string(pieces) + "\n") !=
             std::string::npos;
}

// Left by a kill between the end of a donation and the removal of what was sealed.
TEST(BorderDonorHostile, ASealedPieceOfAnOlderDonationIsNotSentAsOneOfThis) {
  Loss loss(5);
  FileSystem::Path sealed = donation_of(loss, giver, lost);
  sealed += ".message";
  loss.ask(giver);
  loss.world.turn_until([&] { return posix_files().exists(sealed); });
  const Bytes first = read_file(posix_files(), sealed);
  loss.world.turn_until([&] { return loss.here() && !loss.asked(giver); });
  loss.world.ranks[lost].away = false;
  loss.world.ranks[lost].begin_at(1);
  loss.world.turn_until([&] { return loss.world.ranks[lost].round() == 4; });
  loss.world.ranks[lost].away = true;
  loss.world.turn_until([&] { return loss.world.borders[lost]->status() == "round 4, idle"; });
  loss.world.stop_border(lost);
  posix_files().remove_all(loss.run(lost));
  write_atomically(posix_files(), sealed, first);
  loss.world.ranks[giver].keep_generation(3);
  loss.world.start_border(giver);
  loss.world.start_border(lost);
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on(3);
}

TEST(BorderDonorHostile, WhatWasSealedIsNotSentWhenItsRecipientIsNotAllowedAnyMore) {
  Loss loss;
  loss.world.stop_border(lost);
  for (int i = 0; i < 3; ++i) {
    loss.ask(giver);
    loss.turns(100);
  }
  ASSERT_TRUE(loss.asked(giver)) << "the third donation waits for room with a sealed piece";
  loss.world.donate_to.clear();
  loss.world.start_border(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  loss.world.start_border(lost);
  loss.world.turn_until([&] { return loss.kept_at_hub() == 0; });
  loss.turns(20);
  const std::string hub = read_text(posix_files(), loss.world.root.path() / "hub/ledger/log.jsonl");
  std::size_t passed = 0;
  for (auto at = hub.find("\"kind\":\"passed_on\""); at != hub.npos;
       at = hub.find("\"kind\":\"passed_on\"", at + 1)) {
    ++passed;
  }
  EXPECT_EQ(passed, 32U);
}

TEST(BorderDonorHostile, ARequestThatComesDuringADonationIsNotLost) {
  Loss loss;
  loss.world.donate_to[giver] = {SiteId{1}, SiteId{lost}};
  loss.world.start_border(giver);
  loss.ask(giver);
  loss.world.turn_until([&] { return posix_files().exists(donation_of(loss, giver, lost)); });
  write_donation_request(posix_files(), loss.run(giver), "siteb");
  loss.world.turn_until([&] { return loss.here(); });
  loss.world.turn_until(
      [&] { return !loss.asked(giver) && posix_files().exists(donation_of(loss, giver, 1)); });
  loss.go_on();
}

TEST(BorderDonorHostile, AGenerationThatCannotBeReadEndsTheDonationAndNotTheBorder) {
  Loss loss;
  const auto state = loss.run(giver) / "checkpoints" / "step-001001" / "state.h5";
  const Bytes whole = read_file(posix_files(), state);
  posix_files().remove(state);
  loss.ask(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  EXPECT_EQ(loss.in_ledger(giver, "\"kind\":\"state_blocks\""), 0U);
  write_atomically(posix_files(), state, whole);
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonorHostile, AFloodOfStatesThatNobodyAskedForFillsNoLedgerAndHoldsUpNoReady) {
  Loss loss(4, false);
  loss.world.ranks[1].keep_generation(1);
  loss.allow(1);
  loss.world.stop_border(lost);
  const auto flood = [&] {
    loss.ask(1);
    loss.turns(60);
  };
  flood();
  flood();
  ASSERT_EQ(loss.kept_at_hub(), 26U);
  loss.world.ranks[0].hold_commit = true;
  loss.world.ranks[lost].away = false;
  loss.world.start_border(lost);
  loss.turns(12);
  EXPECT_GT(loss.kept_at_hub(), 0U);
  EXPECT_EQ(loss.world.hub->status().find("waiting for sitec"), std::string::npos)
      << loss.world.hub->status();
  for (int i = 0; i < 4; ++i) {
    flood();
    loss.world.turn_until([&] { return loss.kept_at_hub() == 0; });
  }
  EXPECT_EQ(loss.in_ledger(lost, "site.state_refused"), 64U);
  loss.world.ranks[0].hold_commit = false;
  loss.world.run_to_end();
  EXPECT_EQ(loss.world.audit(), "");
}

// A power cut leaves zeros where a block was on its way, and zeros are sums in range.
TEST(BorderDonorHostile, ABlockOfTheSumThatWasTornIsWrittenAgain) {
  Loss loss;
  loss.ask(giver);
  loss.world.turn_until([&] { return has_taken(loss, 11); });
  loss.world.stop_border(lost);
  const ExchangeId given{Round{1}, {}, {}};
  const auto blocks = loss.world.ranks[lost].folder().aggregate_blocks(given);
  ASSERT_EQ(posix_files().file_size(blocks), 2048U);
  posix_files().open(blocks, OpenMode::append)->write(Bytes(2048, 0));
  loss.world.start_border(lost);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonorHostile, AnImportThatIsHalfRemovedKeepsNoBorderFromStarting) {
  Loss loss;
  loss.ask(giver);
  loss.world.turn_until([&] { return has_taken(loss, 5); });
  loss.world.stop_border(lost);
  posix_files().remove(import_folder(loss.run(lost)) / "contents");
  loss.world.start_border(lost);
  loss.world.turn_until([&] { return !loss.asked(giver) && loss.kept_at_hub() == 0; });
  EXPECT_FALSE(loss.here());
  loss.ask(giver);
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonorHostile, AnOlderDonationThatIsSaidAgainDoesNotUndoTheOneThatComes) {
  Loss loss;
  loss.world.stop_border(lost);
  loss.ask(giver);
  loss.world.turn_until([&] { return !loss.asked(giver); });
  const auto relay = loss.world.root.path() / "hub" / "relay" / "site-2";
  const Bytes first = read_file(posix_files(), relay / "0.message");
  loss.world.start_border(lost);
  loss.world.turn_until([&] { return loss.here() && loss.kept_at_hub() == 0; });
  loss.world.stop_border(lost);
  posix_files().remove_all(loss.run(lost));
  loss.world.start_border(lost);
  loss.ask(giver);
  loss.world.turn_until([&] { return has_taken(loss, 3); });
  loss.world.hub.reset();
  write_atomically(posix_files(), relay / "900.message", first);
  loss.world.start_hub();
  loss.world.turn_until([&] { return loss.here(); });
  loss.go_on();
}

TEST(BorderDonorHostile, AStateOfMoreBlocksThanOneMessageHasLeavesForIsNotGiven) {
  const StateShape fits{.num_elements = std::uint64_t{7} << 30U, .block_log2 = 20, .moments = 1};
  EXPECT_NO_THROW(require_fits(fits));
  StateShape many = fits;
  many.block_log2 = 14;
  EXPECT_ERROR_SAYS(require_fits(many), errors::nothing_to_give, "458752 blocks");
}

}  // namespace
}  // namespace concordat::site::testing
