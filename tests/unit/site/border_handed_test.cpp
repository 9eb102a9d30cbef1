// Entries of ingest and of the training job reach the ledger through a border that runs.
#include "concordat/ledger/recorder.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site::testing {
namespace {

ledger::Entry saved(std::uint64_t step, const federation::SignedAgreement& agreement) {
  ledger::Entry entry = ledger::checkpoint_entry("demo", "step-" + std::to_string(step), step,
                                                 Round(0), crypto::sha256(as_bytes("state 0")),
                                                 crypto::sha256(as_bytes(std::to_string(step))));
  entry.key.insert(0, ledger::run_scope(agreement.digest));
  return entry;
}

ledger::Entry ingest() {
  return ledger::ingest_entry(
      {.dataset = "notes", .language = "de", .purpose = "p", .source = "s"});
}

std::uint64_t times_in_log(const BorderWorld& world, std::uint32_t site,
                           const ledger::Entry& entry) {
  const std::string log =
      read_text(posix_files(), world.site_folder(site) / "ledger" / "log.jsonl");
  const std::string key = "\"key\":\"" + entry.key + "\"";
  std::uint64_t count = 0;
  for (std::size_t at = log.find(key); at != log.npos; at = log.find(key, at + 1)) ++count;
  return count;
}

TEST(BorderHanded, AnIngestIsWrittenInTheMiddleOfAnExchange) {
  BorderWorld world(2);
  world.ranks[0].hold_commit = true;
  world.turn_until([&] { return world.borders[0]->status() == "round 0, going"; });
  ledger::SiteRecorder recorder(posix_files(), world.site_folder(0), "ingest",
                                [](const ledger::SiteRecorder::Work&) { FAIL(); });
  EXPECT_FALSE(recorder.record(ingest()).has_value());
  world.turn();
  const auto answer = recorder.look(ingest());
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->found);
  world.ranks[0].hold_commit = false;
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
  EXPECT_EQ(times_in_log(world, 0, ingest()), 1U);
}

TEST(BorderHanded, NobodyWaitsForACoordinatorThatIsAway) {
  BorderWorld world(1);
  world.road.fail_next(SiteId{1}, border::LoopbackRoad::Fault::before, 1'000'000);
  for (int i = 0; i < 20; ++i) world.turn();
  ledger::SiteRecorder ranks(posix_files(), world.site_folder(1), "train");
  ranks.record(saved(1, world.agreement));
  world.borders[1]->turn();
  EXPECT_TRUE(ranks.settled());
  world.road.fail_next(SiteId{1}, border::LoopbackRoad::Fault::before, 0);
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderHanded, WhatWaitsWhenABorderStartsOrEndsIsWritten) {
  BorderWorld world(1);
  world.stop_border(2);
  ledger::SiteRecorder ranks(posix_files(), world.site_folder(2), "train");
  ranks.record(saved(1, world.agreement));
  world.start_border(2);
  EXPECT_TRUE(ranks.settled());
  ranks.record(saved(2, world.agreement));
  testing_support::overwrite(world.site_folder(2) / "STOP", {});
  while (world.borders[2]->turn()) {
  }
  EXPECT_EQ(world.borders[2]->exit_code(), ExitCode::saved);
  EXPECT_TRUE(ranks.settled());
  world.start_border(2);
  // The last of a run is handed over before the key that proves the final state.
  world.turn_until([&] { return world.ranks[2].round() == 1; });
  ranks.record(saved(3, world.agreement));
  world.run_to_end();
  EXPECT_EQ(times_in_log(world, 2, saved(3, world.agreement)), 1U);
  // Its border is gone and comes no further than its start.
  world.stop_border(2);
  ranks.record(saved(4, world.agreement));
  world.start_border(2);
  EXPECT_EQ(times_in_log(world, 2, saved(4, world.agreement)), 1U);
  EXPECT_EQ(world.audit(), "");
}

TEST(BorderHanded, RubbishIsTurnedAwayAndTheRunGoesOn) {
  BorderWorld world(2);
  const FileSystem::Path folder = world.site_folder(0) / "handover";
  int planted = 0;
  for (int i = 0; i < 60 && !world.ended[0]; ++i) {
    Bytes bytes(static_cast<std::size_t>(i), static_cast<std::uint8_t>(37 * i));
    const std::string name = crypto::sha256(bytes).hex();
    write_atomically(posix_files(), folder / (name + ".entry"), bytes);
    ++planted;
    world.turn();
  }
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
  for (const std::string& file : posix_files().list(folder)) {
    EXPECT_TRUE(file.ends_with(".answer")) << file;
  }
  const std::string log = read_text(posix_files(), world.site_folder(0) / "ledger" / "log.jsonl");
  int refusals = 0;
  for (std::size_t at = log.find("handover/"); at != log.npos; at = log.find("handover/", at + 1)) {
    ++refusals;
  }
  EXPECT_EQ(refusals, planted);
}

// The border dies at one change after the other, with an entry handed over all the time.
TEST(BorderHanded, KilledAnywhereItWritesEachEntryOnce) {
  BorderWorld world(4);
  ledger::SiteRecorder ranks(posix_files(), world.site_folder(1), "train");
  std::uint64_t next = 1, step = 0;
  world.files[1]->fail_at(15);
  for (int i = 0; i < 60'000 && !world.ended[1]; ++i) {
    if (ranks.settled()) ranks.record(saved(++step, world.agreement));
    world.turn();
    if (world.borders[1]) continue;
    world.files[1]->heal();
    world.start_border(1);
    world.files[1]->fail_at(next);
    next = next > 60 ? 1 : next + 1;
  }
  world.files[1]->heal();
  world.run_to_end();
  EXPECT_EQ(world.audit(), "");
  ASSERT_GT(step, 20U);
  for (std::uint64_t i = 1; i < step; ++i) {
    EXPECT_EQ(times_in_log(world, 1, saved(i, world.agreement)), 1U) << i;
  }
}

}  // namespace
}  // namespace concordat::site::testing
