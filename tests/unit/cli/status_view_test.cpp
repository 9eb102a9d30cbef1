// What `concordat status` makes of a run folder: of whole ones, of half ones and of none.
#include "cli/status_view.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "cli/status_print.hpp"
#include "concordat/checkpoint/checkpoint.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::cli {
namespace {

constexpr std::int64_t start = 1'800'000'000;

class StatusView : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void put(const std::filesystem::path& path, std::int64_t unix_seconds) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << std::string(2048, 'x');
    const timespec time{.tv_sec = unix_seconds, .tv_nsec = 0};
    const timespec both[2] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), both, 0), 0);
  }
  void plan(bool federated) {
    write("effective.toml",
          std::string("[run]\nrounds = 3\ninner_steps = 4\n") +
              (federated ? "[federation]\nroster = \"r\"\nagreement = \"a\"\n" : ""));
  }
  /// Steps [from, to) of 0.5 s and 100 tokens each, `every` seconds apart.
  void steps(std::int64_t from, std::int64_t to, std::int64_t every, std::int64_t begin = start) {
    for (std::int64_t step = from; step < to; ++step) {
      metrics_ += "{\"event\":\"step\",\"time\":" + std::to_string(begin + step * every) +
                  ",\"step\":" + std::to_string(step) + ",\"round\":" + std::to_string(step / 4) +
                  ",\"loss\":2.5,\"tokens\":100,\"tokens_per_s\":200}\n";
    }
    write("metrics.jsonl", metrics_);
  }
  void save(std::uint64_t step, std::uint64_t round) {
    const auto self = comm::self_communicator();
    const auto slice = parallel::slice_of(0, 1, 8, 6);
    checkpoint::save_generation(
        *self, posix_files(), folder_.path() / "checkpoints", {.step = step, .round = round},
        {checkpoint::named_slice("x", 8, Dtype::f32, host_tensor(Dtype::f32, {8}), slice)}, {});
  }
  RunView look() { return look_at_run(posix_files(), folder_.path()); }
  std::string text() { return run_status(folder_.path(), folder_.path() / "site", start + 100); }

  testing_support::TemporaryFolder folder_;
  std::string metrics_;
};

TEST_F(StatusView, OfAnEmptyFolderNothingIsKnown) {
  const RunView view = look();
  EXPECT_FALSE(view.plan || view.pace || view.newest || view.exchange || view.border);
  EXPECT_EQ(view.where(), "not begun");
  EXPECT_NE(text().find("not running"), std::string::npos);
}

TEST_F(StatusView, TheRateLeavesWaitsOutAndTheWallClockDoesNot) {
  plan(false);
  steps(0, 8, 3);
  const RunView view = look();
  ASSERT_TRUE(view.pace);
  EXPECT_EQ(view.pace->steps_done, 8);
  EXPECT_EQ(view.pace->round, 1);
  EXPECT_DOUBLE_EQ(view.pace->tokens_per_s, 200.0);
  EXPECT_DOUBLE_EQ(view.pace->step_seconds, 0.5);
  EXPECT_DOUBLE_EQ(view.pace->wall_seconds, 3.0);
  EXPECT_NE(text().find("0:02 of training at 0.5 s a step; 0:12 with waits"), std::string::npos)
      << text();
}

TEST_F(StatusView, StepsBeforeARestartAndTornLinesDoNotCount) {
  steps(0, 8, 1);
  steps(4, 10, 2, start + 1000);
  write("metrics.jsonl", metrics_ + "{\"event\":\"step\",\"time\":18");
  const RunView view = look();
  ASSERT_TRUE(view.pace);
  EXPECT_EQ(view.pace->steps_done, 10);
  EXPECT_DOUBLE_EQ(view.pace->wall_seconds, 2.0);
}

TEST_F(StatusView, OfLongFilesTheEndIsRead) {
  steps(0, 2000, 1);
  EXPECT_EQ(look().pace->steps_done, 2000);
}

TEST_F(StatusView, ARunAloneIsFinishedWithItsLastCheckpoint) {
  plan(false);
  steps(0, 12, 1);
  save(8, 2);
  EXPECT_FALSE(look().finished());
  EXPECT_EQ(look().where(), "stopped in training");
  save(12, 3);
  EXPECT_TRUE(look().finished());
  EXPECT_EQ(look().where(), "finished");
  EXPECT_EQ(text().find("left"), std::string::npos) << text();
}

TEST_F(StatusView, AFederatedRunIsFinishedWhenTheLastOuterStepIsSaved) {
  plan(true);
  steps(0, 12, 1);
  save(12, 2);
  write("outbox/round-2.0.0/key-00", "");
  EXPECT_FALSE(look().finished());
  save(12, 3);
  write("outbox/round-3.0.0/key-00", "");
  EXPECT_TRUE(look().finished());
  EXPECT_EQ(text().find("waits"), std::string::npos) << text();
}

TEST_F(StatusView, SaysWhereInTheRoundTheSiteIs) {
  plan(true);
  write("outbox/round-0.0.0/key-00", "");
  write("outbox/round-1.0.0/key-00", "");
  write("outbox/round-notes", "");
  steps(0, 6, 1);
  EXPECT_EQ(look().where(), "round 1: stopped in training, step 2 of 4");
  {
    RoleLock lock(folder_.path() / "train.lock", "train");
    EXPECT_EQ(look().where(), "round 1: training, step 2 of 4");
    EXPECT_NE(text().find("running: host "), std::string::npos) << text();
    steps(6, 8, 1);
    EXPECT_EQ(look().where(), "round 1: inner steps done, waiting to mask the update");
    EXPECT_NE(text().find("no border runs: start"), std::string::npos) << text();
  }
  EXPECT_NE(text().find("not running as seen from this host; last: host "), std::string::npos);
  write("outbox/round-1.0.0/COMMIT", "");
  EXPECT_EQ(look().where(), "round 1: committed, waiting for the other sites");
  write("inbox/round-1.0.0/CLOSED", "");
  EXPECT_EQ(look().where(),
            "round 1: closed, the sum is here; the outer step follows when the training job runs "
            "again");
}

TEST_F(StatusView, SaysWhatTheBorderWaitsFor) {
  plan(true);
  write("outbox/round-0.0.0/COMMIT", "");
  site::BorderPage page{.site = "alba",
                        .coordinator = "hub:7443",
                        .rounds = 3,
                        .phase = "committed",
                        .phase_since = start + 40,
                        .reached = start + 90,
                        .updated = start + 95};
  site::write_border_page(posix_files(), folder_.path(), page);
  EXPECT_NE(text().find("then waits for the other sites' updates, since 60 s ago; the coordinator "
                        "answered 10 s ago; 'concordat status' at the coordinator"),
            std::string::npos)
      << text();
  page.trouble = "connection refused";
  page.trouble_since = start;
  site::write_border_page(posix_files(), folder_.path(), page);
  EXPECT_NE(
      text().find("cannot reach the coordinator at hub:7443: connection refused; since 100 s"),
      std::string::npos)
      << text();
  page.updated = start - 1000;  // nobody keeps it
  site::write_border_page(posix_files(), folder_.path(), page);
  EXPECT_NE(text().find("no border runs"), std::string::npos) << text();
}

TEST_F(StatusView, SaysWhatLiesInTheSpool) {
  plan(true);
  EXPECT_EQ(text().find("spool"), std::string::npos);
  write("effective.toml",
        "[run]\nrounds = 3\ninner_steps = 4\n[federation]\nroster = \"r\"\nagreement = \"a\"\n"
        "road = \"spool\"\nspool = \"somewhere\"\n");
  EXPECT_NE(text().find("  spool      up: nothing; down: nothing\n"), std::string::npos) << text();
  put(folder_.path() / "site/spool/down/a.spool", start + 70);
  put(folder_.path() / "site/spool/up/a.spool", start + 100 - 720);
  put(folder_.path() / "site/spool/up/b.spool", start);
  EXPECT_NE(text().find("up: 2 files, 4.0 KiB, the oldest for 12:00; down: 1 file, 2.0 KiB, the "
                        "oldest for 0:30; the mover has not come for 12:00\n"),
            std::string::npos)
      << text();
  // What the border said goes first, where it is there.
  site::BorderPage page{.site = "alba", .spool = (folder_.path() / "elsewhere").string()};
  site::write_border_page(posix_files(), folder_.path(), page);
  EXPECT_NE(text().find("up: 2 files"), std::string::npos) << text();
  put(folder_.path() / "elsewhere/down/c.spool", start - 3600);
  EXPECT_NE(text().find("up: nothing; down: 1 file, 2.0 KiB, the oldest for 1:01:40; the border "
                        "has not taken what came for 1:01:40\n"),
            std::string::npos)
      << text();
}

// The clock was set back: what was written before it is of the future, and proves no life.
TEST_F(StatusView, AFileOfTheFutureIsNotFresh) {
  plan(true);
  steps(0, 6, 1);
  site::BorderPage page{.site = "alba",
                        .coordinator = "hub:7443",
                        .rounds = 3,
                        .phase = "ready",
                        .phase_since = start + 110,
                        .updated = start + 110};
  site::write_border_page(posix_files(), folder_.path(), page);
  EXPECT_EQ(text().find("no border runs"), std::string::npos) << text();
  EXPECT_NE(text().find("it may run on another host"), std::string::npos) << text();
  page.updated = page.phase_since = start + 5000;
  site::write_border_page(posix_files(), folder_.path(), page);
  metrics_.clear();
  steps(0, 6, 1, start + 5000);
  EXPECT_NE(text().find("no border runs"), std::string::npos) << text();
  EXPECT_EQ(text().find("it may run on another host"), std::string::npos) << text();
  EXPECT_NE(text().find("newest step 1:21:45 from now by this clock"), std::string::npos) << text();
}

TEST_F(StatusView, NamesWhatTheJobIsAskedFor) {
  write("STOP", "");
  write("REQUEUE", "1\n");
  EXPECT_NE(
      text().find("STOP: the next job will save and end at once; REQUEUE: the last job wants"),
      std::string::npos)
      << text();
}

TEST_F(StatusView, NamesAStateThatIsLostAndOneThatIsGiven) {
  EXPECT_EQ(text().find("NEEDS_STATE"), std::string::npos);
  write("NEEDS_STATE", "brio\n3.0.0\n");
  write("DONATE", "cala\n");
  EXPECT_NE(text().find("waits for brio to give its own; DONATE: the border is asked to give its "
                        "state to cala"),
            std::string::npos)
      << text();
}

TEST_F(StatusView, NamesJobsThatGotNoFurther) {
  const auto started = [&](int jobs, const std::string& reached) {
    write("progress.json", "{\"step\": 40, \"round\": 1, \"starts\": " + std::to_string(jobs) +
                               ", \"reached\": \"" + reached + "\"}");
    return text().find(" jobs in a row began at step 40") != std::string::npos;
  };
  EXPECT_FALSE(started(1, "start"));
  EXPECT_TRUE(started(2, "start"));
  EXPECT_FALSE(started(2, "exchange"));
  write("progress.json", "[]");
  EXPECT_FALSE(look().idle_starts);
}

TEST_F(StatusView, ACoordinatorsPageIsSpokenNotQuoted) {
  write("status.json",
        "{\"coordinator\": \"hub\", \"state\": \"round 1 of 3: uploading, waiting for brio\","
        "\"round\": \"1\", \"rounds\": \"3\", \"phase\": \"uploading\", \"waiting_for\": \"brio\","
        "\"upload of brio\": \"3 of 9 blocks\", \"connected\": \"alba\", \"final_state\": \"\","
        "\"refused_messages\": \"0\", \"peak_in_flight_bytes\": \"2048\","
        "\"updated_unix_seconds\": \"1800000090\", \"end\": \"saved\"}");
  const std::string found = coordinator_status(folder_.path(), start + 100);
  EXPECT_NE(found.find("state        round 1 of 3: uploading, waiting for brio\n"),
            std::string::npos);
  EXPECT_NE(found.find("in flight    at most 2.0 KiB so far\n"), std::string::npos) << found;
  EXPECT_NE(found.find("updated      10 s ago\n"), std::string::npos) << found;
  EXPECT_NE(found.find("it was stopped: the same command goes on"), std::string::npos) << found;
  for (const char* raw : {"_", "refused", "final", "phase"}) {
    EXPECT_EQ(found.find(raw), std::string::npos) << raw << " in\n" << found;
  }
}

TEST_F(StatusView, ACoordinatorHasALineForEachSiteWithASpool) {
  const auto page = [&](const std::string& spool) {
    write("status.json", "{\"coordinator\": \"hub\", \"spool\": \"" + spool + "\"}");
    return coordinator_status(folder_.path(), start + 100);
  };
  put(folder_.path() / "hub/alba/up/a.spool", start);
  put(folder_.path() / "hub/brio/down/a.spool", start - 620);
  std::filesystem::create_directories(folder_.path() / "hub/brio/up");
  std::filesystem::create_directories(folder_.path() / "hub/other");
  EXPECT_EQ(page("").find("spool"), std::string::npos);
  const std::string found = page((folder_.path() / "hub").string());
  EXPECT_NE(found.find("spool alba   up: 1 file, 2.0 KiB, the oldest for 1:40; down: nothing\n"),
            std::string::npos)
      << found;
  EXPECT_NE(found.find("spool brio   up: nothing; down: 1 file, 2.0 KiB, the oldest for 12:00; the "
                       "mover has not come for 12:00\n"),
            std::string::npos)
      << found;
  EXPECT_EQ(found.find("other"), std::string::npos) << found;
  // A copy, seen where that folder is not.
  std::filesystem::rename(folder_.path() / "hub", folder_.path() / "spool");
  EXPECT_NE(page("/nowhere/spool").find("spool alba "), std::string::npos);
}

TEST_F(StatusView, APageThatCannotBeReadIsNoFailure) {
  write("status.json", "{");
  EXPECT_NE(coordinator_status(folder_.path(), start).find("unknown: "), std::string::npos);
  write("border.json", "{\"site\": 3}");
  EXPECT_FALSE(look().border);
}

TEST(Ago, SpeaksOfSecondsHoursAndDays) {
  EXPECT_EQ(ago(10, 11), "just now");
  EXPECT_EQ(ago(70, 10), "just now");
  EXPECT_EQ(ago(71, 10), "1:01 from now by this clock");
  EXPECT_EQ(ago(0, 90), "90 s ago");
  EXPECT_EQ(ago(0, 3725), "1:02:05 ago");
  EXPECT_EQ(ago(0, 3 * 86'400), "3 days ago");
}

}  // namespace
}  // namespace concordat::cli
