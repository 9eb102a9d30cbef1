// Whole runs of three sites over the loopback road.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "concordat/border/loopback.hpp"
#include "concordat/ledger/verify.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "unit/coordinator/fake_site.hpp"

namespace concordat::coordinator::testing {
namespace {

using std::chrono::milliseconds;

struct Play {
  explicit Play(const std::function<void(federation::RunAgreement&)>& change = {})
      : federation(change) {
    for (std::uint32_t i = 0; i < 3; ++i) {
      roads.push_back(road.site(SiteId(i)));
      sites.push_back(std::make_unique<FakeSite>(federation, SiteId(i),
                                                 temporary.path() / ("site-" + std::to_string(i)),
                                                 *roads[i], quick));
    }
  }
  CoordinatorPlan plan() const {
    CoordinatorPlan plan;
    plan.folder = folder();
    plan.roster = federation.roster;
    plan.agreement = federation.agreement;
    plan.poll_wait = milliseconds(1);
    plan.linger = milliseconds(0);
    return plan;
  }
  std::filesystem::path folder() const { return temporary.path() / "hub"; }
  void start() {
    loop.emplace(CoordinatorSeams{fs, system_clock(), crypto::system_random(), road, budget},
                 plan(), keys);
  }
  bool all_done() const {
    for (const auto& site : sites) {
      if (!site->done()) return false;
    }
    return true;
  }
  void finish() {
    for (int i = 0; i < 20'000; ++i) {
      for (auto& site : sites) site->step(milliseconds(0));
      if (!loop->turn()) return;
    }
    FAIL() << loop->status();
  }

  testing_support::TemporaryFolder temporary;
  testing_support::FaultyFiles fs;     // of the coordinator
  testing_support::FaultyFiles quick;  // of the sites: no syncs
  Federation federation;
  border::ByteBudget budget{8U << 20U};
  border::LoopbackRoad road;
  crypto::SiteKeys keys = federation.keys(coordinator_id);
  std::vector<std::unique_ptr<border::SiteRoad>> roads;
  std::vector<std::unique_ptr<FakeSite>> sites;
  std::optional<CoordinatorLoop> loop;
};

std::vector<Digest> undisturbed() {
  static const std::vector<Digest>* closings = [] {
    Play run;
    run.start();
    run.finish();
    return new std::vector<Digest>(run.sites[0]->closings());
  }();
  return *closings;
}

TEST(Rounds, EndWhenEverySiteProvedTheSameState) {
  Play run;
  run.start();
  run.finish();
  EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
  EXPECT_TRUE(run.all_done());
  for (const auto& site : run.sites) {
    EXPECT_EQ(site->closings().size(), 2U);
    EXPECT_EQ(site->closings(), run.sites[0]->closings());
  }
}

TEST(Rounds, SumsAreExactInEveryLaneWidth) {
  for (auto [bits, lane] : {std::pair{4, exact::Lane::u8}, std::pair{8, exact::Lane::u16},
                            std::pair{14, exact::Lane::u16}, std::pair{16, exact::Lane::u32}}) {
    Play run([bits = bits, lane = lane](federation::RunAgreement& agreement) {
      agreement.first_round = {.bits = bits, .lane = lane};
      agreement.later_rounds = {.bits = bits, .lane = lane};
      agreement.rounds = 1;
    });
    run.start();
    run.finish();  // each site compares every block with the plaintext sum
    EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
  }
}

TEST(Rounds, LeaveAnAggregateAndNoSingleUpload) {
  Play run;
  run.start();
  run.finish();
  EXPECT_TRUE(posix_files().exists(run.folder() / "exchanges/1.0.0/aggregate.sum"));
  for (const char* exchange : {"0.0.0", "1.0.0"}) {
    for (const auto& name : posix_files().list(run.folder() / "exchanges" / exchange)) {
      EXPECT_FALSE(name.starts_with("site-")) << name;
    }
  }
  EXPECT_TRUE(posix_files().list(run.folder() / "journal/secrets").empty());
}

TEST(Rounds, KeepALedgerThatVerifies) {
  Play run;
  run.start();
  run.finish();
  auto log = ledger::read_log(posix_files(), run.folder() / "ledger",
                              ledger::log_origin("hub", run.keys.log.verify_key()),
                              run.keys.log.verify_key());
  for (const auto& fault : log.faults) ADD_FAILURE() << fault.text();
  ASSERT_TRUE(log.checkpoint);
  EXPECT_EQ(log.checkpoint->head.size, log.entries.size());
  std::map<std::string, int> kinds;
  for (const auto& logged : log.entries) ++kinds[logged.entry.kind];
  for (const char* kind : {"cosign", "upload", "agree", "received", "manifest", "go", "survivors",
                           "aggregate", "closed"}) {
    EXPECT_EQ(kinds[kind], 6) << kind << ": three sites, two rounds";
  }
  EXPECT_EQ(kinds["ready"], 9) << "and the last one";
  EXPECT_EQ(kinds["decision"], 30);
  EXPECT_EQ(kinds["agreement"], 1);
}

TEST(Rounds, TheStatusPageSaysHowItEnded) {
  Play run;
  run.start();
  run.finish();
  std::string page = read_text(posix_files(), run.folder() / "status.json");
  EXPECT_NE(page.find("\"end\": \"done\""), std::string::npos) << page;
  EXPECT_NE(page.find("finished"), std::string::npos);
}

TEST(Rounds, AMissingSiteIsWaitedForByName) {
  Play run;
  run.start();
  for (int i = 0; i < 50; ++i) {
    run.sites[0]->step(milliseconds(0));
    run.sites[2]->step(milliseconds(0));
    ASSERT_TRUE(run.loop->turn());
  }
  EXPECT_EQ(run.loop->status(), "round 0 of 2: gathering, waiting for blba (site 1)");
  std::string page = read_text(posix_files(), run.folder() / "status.json");
  EXPECT_NE(page.find("blba (site 1)"), std::string::npos);
  run.finish();
  EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
}

// The coordinator is thrown away and made again between any two steps of the sites.
TEST(Rounds, RestartsChangeNothing) {
  std::mt19937 random(3);
  Play run;
  run.start();
  int restarts = 0;
  for (int i = 0; i < 20'000; ++i) {
    run.sites[random() % 3]->step(milliseconds(0));
    if (random() % 4 == 0) {
      run.loop.reset();
      run.start();
      ++restarts;
    }
    if (!run.loop->turn()) break;
  }
  EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
  EXPECT_GT(restarts, 10);
  for (const auto& site : run.sites) EXPECT_EQ(site->closings(), undisturbed());
}

// Requests and answers that get lost are repeated; the end is the same.
TEST(Rounds, ALossyRoadChangesNothing) {
  std::mt19937 random(5);
  Play run;
  run.start();
  for (int i = 0; i < 20'000; ++i) {
    SiteId id(static_cast<std::uint32_t>(random() % 3));
    if (random() % 3 == 0) {
      run.road.fail_next(id,
                         random() % 2 == 0 ? border::LoopbackRoad::Fault::before
                                           : border::LoopbackRoad::Fault::after,
                         1 + static_cast<int>(random() % 2));
    }
    run.sites[id.value()]->step(milliseconds(0));
    if (!run.loop->turn()) break;
  }
  EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
  for (const auto& site : run.sites) EXPECT_EQ(site->closings(), undisturbed());
}

TEST(Rounds, AStopFileEndsWith75AndTheSameCommandGoesOn) {
  Play run;
  run.start();
  for (int i = 0; i < 10; ++i) {
    for (auto& site : run.sites) site->step(milliseconds(0));
    ASSERT_TRUE(run.loop->turn());
  }
  write_atomically(posix_files(), run.folder() / "STOP", {});
  std::this_thread::sleep_for(milliseconds(250));
  while (run.loop->turn()) {
  }
  EXPECT_EQ(run.loop->exit_code(), ExitCode::saved);
  run.loop.reset();
  run.start();
  run.finish();
  EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
  EXPECT_EQ(run.sites[0]->closings(), undisturbed());
}

// The disk is full at one change after another, all through a run; each time the coordinator ends
// with the error, there is room again, and the same command goes on.
TEST(Rounds, AFullDiskAtAnyChangeLosesNothing) {
  std::uint64_t changes = 0;
  {
    Play run;
    run.start();
    run.finish();
    changes = run.fs.changes();
  }
  ASSERT_GT(changes, 300U);
  int failures = 0;
  for (std::uint64_t at = 1; at < changes; at += changes / 11) {
    Play run;
    run.fs.fail_at(at);
    for (int i = 0; i < 20'000; ++i) {
      try {
        if (!run.loop) run.start();
        for (auto& site : run.sites) site->step(milliseconds(0));
        if (!run.loop->turn()) break;
      } catch (const Error& error) {
        ASSERT_EQ(error.code().name, "core.disk_full") << error.what();
        ASSERT_EQ(error.exit_code(), ExitCode::data);
        ++failures;
        run.loop.reset();
        run.fs.heal();
      }
    }
    EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
    for (const auto& site : run.sites) EXPECT_EQ(site->closings(), undisturbed()) << at;
  }
  EXPECT_GT(failures, 8);
}

TEST(Rounds, AFinishedRunIsFinishedAgain) {
  Play run;
  run.start();
  run.finish();
  run.loop.reset();
  run.start();
  run.finish();
  EXPECT_EQ(run.loop->exit_code(), ExitCode::done);
}

}  // namespace
}  // namespace concordat::coordinator::testing
