// The border's loop with real envelopes, a real coordinator and known numbers.
#include "concordat/site/border_loop.hpp"

#include "concordat/border/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/site/errors.hpp"
#include "site/border_records.hpp"
#include "support/expect_error.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site::testing {
namespace {

TEST(BorderLoop, TakesARunFromTheFirstKeyToTheProofOfTheFinalState) {
  BorderWorld world(2);
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(world.ranks[i].round(), 2U);
    // Secrets are erased at closing; nothing of an exchange is left but digests.
    EXPECT_TRUE(posix_files().list(world.site_folder(i) / "journal" / "demo" / "secrets").empty() ||
                posix_files().list(world.site_folder(i) / "journal" / "demo" / "secrets").size() ==
                    1U);
  }
}

TEST(BorderLoop, AnEndedRunEndsAtOnceWhenStartedAgain) {
  BorderWorld world(1);
  world.run_to_end();
  world.start_border(0);
  EXPECT_FALSE(world.borders[0]->turn());
  EXPECT_EQ(world.borders[0]->exit_code(), ExitCode::done);
}

TEST(BorderLoop, ARestartedJobGetsSeedsBeforeCommitAndOnlyTheRoundingKeyAfter) {
  BorderWorld world(2);
  world.ranks[0].hold_commit = true;
  ExchangeId first{};
  auto turn = [&] { world.turn(); };
  world.turn_until([&] {
    return !world.ranks[0].folder().key_nonces(first).empty() &&
           world.borders[0]->status() == "round 0, going";
  });
  RankSecrets before = world.ranks[0].ask_again(first, turn);
  EXPECT_EQ(before.seeds.size(), 2U);
  world.ranks[0].hold_commit = false;
  world.turn_until([&] { return world.ranks[0].folder().has_commit(first); });
  RankSecrets after = world.ranks[0].ask_again(first, turn);
  EXPECT_EQ(after.seeds.size(), 0U);
  EXPECT_EQ(after.manifest, before.manifest);
  EXPECT_TRUE(crypto::constant_time_equal(after.rounding_key.view(), before.rounding_key.view()));

  // Also when the exchange is closed and the next has begun.
  world.turn_until([&] { return world.ranks[0].round() == 1; });
  RankSecrets closed = world.ranks[0].ask_again(first, turn);
  EXPECT_EQ(closed.seeds.size(), 0U);
  EXPECT_TRUE(crypto::constant_time_equal(closed.rounding_key.view(), before.rounding_key.view()));
  world.run_to_end();
}

TEST(BorderLoop, AJobWithAnotherStateIsRefused) {
  BorderWorld world(1);
  world.ranks[1].hold_commit = true;
  world.turn_until([&] { return world.borders[1]->status() == "round 0, going"; });
  auto key = crypto::OpeningKey::generate(crypto::system_random());
  world.ranks[1].folder().write_key({}, make_nonce(crypto::system_random()),
                                    {key.seal_key(), crypto::sha256(as_bytes("old")), 1, "none"});
  EXPECT_ERROR(world.turn(), errors::state_differs);
}

TEST(BorderLoop, WaitsForACoordinatorThatIsAwayAndLosesNothing) {
  BorderWorld world(2);
  using Fault = border::LoopbackRoad::Fault;
  for (int i = 0; i < 400 && !world.hub_ended; ++i) {
    world.road.fail_next(SiteId{static_cast<std::uint32_t>(i % 3)},
                         i % 2 == 0 ? Fault::before : Fault::after, 1 + i % 3);
    world.turn();
  }
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

// What waits for its answer has been decided on and has crossed once, however often it is asked
// for.
TEST(BorderLoop, ARoadThatTakesItsTimeLeavesTheLedgerOfOneThatDoesNot) {
  const auto entries = [](int waits) {
    BorderWorld world(2);
    for (auto& road : world.roads) road->waits = waits;
    world.run_to_end();
    EXPECT_EQ(world.audit(), "");
    const std::string log = read_text(posix_files(), world.site_folder(0) / "ledger" / "log.jsonl");
    return std::count(log.begin(), log.end(), '\n');
  };
  EXPECT_EQ(entries(3), entries(0));
}

TEST(BorderLoop, WhatIsOverdueIsSaidHoweverLongTheBorderHasSaidThatItWaits) {
  BorderWorld world(1);
  DamagedRoad& road = *world.roads[0];
  road.waits = 1 << 30;
  world.turn_until([&] { return world.ranks[0].folder().key_nonces({}).size() == 1; });
  for (int i = 0; i < 5; ++i) world.turn();
  log::set_level(log::Level::info);
  ::testing::internal::CaptureStderr();
  world.clock.sleep(std::chrono::minutes(2));
  world.turn();
  road.overdue = true;
  for (int i = 0; i < 5; ++i) world.turn();
  log::set_level(log::Level::error);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("still waits for the coordinator"), std::string::npos) << said;
  EXPECT_NE(said.find("the answer is overdue"), std::string::npos) << said;
}

TEST(BorderLoop, SurvivesARestartedCoordinator) {
  BorderWorld world(3);
  for (int i = 0; i < 200 && !world.hub_ended; ++i) {
    world.turn();
    if (i % 7 == 6) world.start_hub();
  }
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderLoop, OneBorderPerSite) {
  BorderWorld world(1);
  BorderPlan plan;
  plan.site_folder = world.site_folder(0);
  plan.run_folder = world.site_folder(0) / "runs" / "demo";
  plan.roster = world.roster;
  plan.agreement = world.agreement;
  EXPECT_ERROR_SAYS(
      BorderLoop({*world.files[0], world.clock, crypto::system_random(), *world.ends[0]}, plan,
                 world.keys[0]),
      concordat::errors::in_use, "border.lock");
}

// Only the code, compared whole, makes a refusal one that time mends; no text does.
TEST(BorderLoop, WhatARefusalSaysDoesNotSteerTheLoop) {
  for (const std::string said : {"border.equivocation", "border.equivocation: core.disk_full",
                                 "core.disk_full_of_lies", "core.disk_ful"}) {
    BorderWorld world(1);
    world.roads[0]->refuse_with = said;
    EXPECT_ERROR_SAYS(for (int i = 0; i < 100; ++i) world.turn(), border::errors::peer_refused,
                      said);
  }
  for (const std::string code : {"core.disk_full", "coordinator.not_open", "coordinator.behind"}) {
    BorderWorld world(1);
    world.roads[0]->refuse_with = code;
    world.run_to_end();
    EXPECT_TRUE(world.roads[0]->refuse_with.empty()) << "the refusal was heard";
    EXPECT_EQ(world.audit(), "");
  }
}

TEST(BorderLoop, AFolderThatOthersMayWriteInIsRefused) {
  BorderWorld world(1);
  world.stop_border(0);
  std::filesystem::permissions(world.site_folder(0), std::filesystem::perms(0775));
  EXPECT_ERROR_SAYS(world.start_border(0), crypto::errors::open_permissions, "chmod go-w");
  std::filesystem::permissions(world.site_folder(0), std::filesystem::perms(0755));
  EXPECT_NO_THROW(world.start_border(0));
}

// A body that the journal replays is proof enough for the receipt that a crash kept from the book.
TEST(BorderLoop, AReplayedMessageKeepsWhatItsSenderSigned) {
  border::Statement statement{};
  statement.fill(7);
  federation::Incoming message{{}, {1, 2, 3}};
  message.header.type = border::MessageType::go;
  const Bytes bytes = encode(BorderRecord(EventRecord{{}, 300, message, statement}));
  const auto again = std::get<EventRecord>(decode_border_record(bytes));
  EXPECT_EQ(again.statement, statement);
  EXPECT_EQ(encode(BorderRecord(again)), bytes);
}

TEST(BorderLoop, AJournalOfAnotherAgreementIsRefused) {
  BorderWorld world(1);
  world.run_to_end();
  world.stop_border(0);
  BorderWorld other(2);
  world.agreement = other.agreement;
  EXPECT_ERROR_SAYS(world.start_border(0), errors::bad_run_file, "border.journal");
}

TEST(BorderLoop, AStopFileEndsItWithSeventyFiveAndARestartGoesOn) {
  BorderWorld world(2);
  for (int i = 0; i < 10; ++i) world.turn();
  testing_support::overwrite(world.site_folder(2) / "STOP", {});
  BorderLoop& border = *world.borders[2];
  int turns = 0;
  while (border.turn() && turns < 5'000) ++turns;
  EXPECT_EQ(border.exit_code(), ExitCode::saved);
  world.start_border(2);
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderLoop, ASumOutOfRangeIsNeverReceived) {
  BorderWorld world(1);
  world.ranks[2].exceed = true;
  std::string code;
  try {
    for (int i = 0; i < 500; ++i) world.turn();
  } catch (const Error& error) {
    code = error.code().name;
  }
  EXPECT_EQ(code, "exact.sum_out_of_range");
  EXPECT_FALSE(world.ranks[0].folder().has_closed({}));
}

TEST(BorderLoop, ADamagedMessageIsRefusedRecordedAndNotAcknowledged) {
  BorderWorld world(1);
  world.roads[0]->damage_message = true;
  bool refused = false;
  try {
    for (int i = 0; i < 100; ++i) world.turn();
  } catch (const Error& error) {
    refused = true;
    EXPECT_EQ(error.code().name, border::errors::not_authentic.name);
  }
  EXPECT_TRUE(refused);
  EXPECT_EQ(world.roads[0]->acknowledged, 0);
  world.stop_border(0);
  std::string log = read_text(posix_files(), world.site_folder(0) / "ledger" / "log.jsonl");
  EXPECT_NE(log.find("\"refusal\""), std::string::npos);
  EXPECT_NE(log.find("border.not_authentic"), std::string::npos);

  world.roads[0]->damage_message = false;
  world.start_border(0);
  world.run_to_end();
}

TEST(BorderLoop, ADamagedFrameOfTheAggregateIsRefused) {
  BorderWorld world(1);
  world.roads[1]->damage_frame = true;
  bool refused = false;
  try {
    for (int i = 0; i < 500; ++i) world.turn();
  } catch (const Error& error) {
    refused = true;
    EXPECT_EQ(error.code().name, border::errors::not_authentic.name);
  }
  EXPECT_TRUE(refused);
  world.roads[1]->damage_frame = false;
  world.start_border(1);
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderLoop, ACommitOfAGenerationThatIsNotThereIsRefused) {
  BorderWorld world(1);
  world.ranks[2].lose_generation = true;
  EXPECT_ERROR_SAYS(for (int i = 0; i < 500; ++i) world.turn(), errors::bad_run_file,
                    "step-000001");
  EXPECT_EQ(world.borders[2]->status(), "round 0, going");
}

TEST(BorderLoop, CommittedBlocksThatChangedAfterCommitAreNotSent) {
  BorderWorld world(1);
  ExchangeId first{};
  RunFolder& folder = world.ranks[0].folder();
  // Only the ranks and the borders of the others move while this site's COMMIT is damaged.
  world.turn_until([&] { return folder.has_commit(first); });
  std::string nonce = folder.read_commit(first)->try_nonce;
  testing_support::flip_bit(folder.blocks_file(first, nonce, 1), 100);
  bool refused = false;
  try {
    for (int i = 0; i < 300; ++i) world.turn();
  } catch (const Error& error) {
    refused = true;
    EXPECT_EQ(error.code().name, border::errors::not_authentic.name);
  }
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace concordat::site::testing
