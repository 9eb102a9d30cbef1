// When the border submits a training job again.
#include "site/bring_back.hpp"

#include <sys/wait.h>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/site/test_clock.hpp"

namespace concordat::site {
namespace {

class Back : public ::testing::Test {
 protected:
  Back() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    for (const char* folder : {"inbox/round-3.0.0", "outbox/round-3.0.0"}) {
      posix_files().make_directories(run() / folder);
    }
  }
  const std::filesystem::path& run() const { return folder_.path(); }
  void put(const std::string& name, const std::string& text = "") {
    write_atomically(posix_files(), run() / name, as_bytes(text));
  }
  /// Until a command that was started has ended, which is to be seen still.
  static void wait_for_command() {
    for (;;) {
      siginfo_t ended{};
      if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0) return;
      if (ended.si_pid != 0) return;
      system_clock().sleep(std::chrono::milliseconds(1));
    }
  }
  /// Looks until the command has ended, and again.
  void look(BringBack& back, const std::string& masking = "") {
    for (int i = 0; i < 100; ++i) {
      clock_.sleep(std::chrono::seconds(2));
      back.look(masking);
      wait_for_command();
    }
  }
  std::size_t times() {
    if (!posix_files().exists(run() / "ran")) return 0;
    return read_text(posix_files(), run() / "ran").size() / 2;
  }
  std::string command(const std::string& more = "") {
    return "echo 1 >> '" + (run() / "ran").string() + "'" + more;
  }
  testing_support::TemporaryFolder folder_;
  testing::TestClock clock_;
};

TEST_F(Back, AJobThatLeftComesBackOnceWhenItsExchangeIsClosed) {
  BringBack back(posix_files(), clock_, run(), command());
  put("outbox/round-3.0.0/COMMIT");
  look(back);
  EXPECT_EQ(times(), 0U);  // nobody left
  put("WAITING", "3.0.0\n");
  look(back);
  EXPECT_EQ(times(), 0U);  // not closed
  put("inbox/round-3.0.0/CLOSED");
  look(back);
  EXPECT_EQ(times(), 1U);
  EXPECT_FALSE(posix_files().exists(run() / "WAITING"));
}

TEST_F(Back, AJobThatHasNotCommittedComesBackWhenItCanMask) {
  BringBack back(posix_files(), clock_, run(), command());
  put("WAITING", "3.0.0\n");
  look(back, "2.0.0");
  EXPECT_EQ(times(), 0U);
  look(back, "3.0.0");
  EXPECT_EQ(times(), 1U);
}

// What it left for is closed and gone: no CLOSED of it will ever come.
TEST_F(Back, AJobComesBackWhenADonorsStateIsHere) {
  BringBack back(posix_files(), clock_, run(), command());
  put("WAITING", "3.0.0\n");
  posix_files().make_directories(run() / "import");
  look(back);
  EXPECT_EQ(times(), 0U);
  put("import/IMPORTED");
  look(back);
  EXPECT_EQ(times(), 1U);
}

TEST_F(Back, AJobThatCouldNotGoOnIsNotBroughtBack) {
  BringBack back(posix_files(), clock_, run(), command());
  put("WAITING", "3.0.0\n");
  put("inbox/round-3.0.0/CLOSED");
  put("NEEDS_STATE", "alba\n5.0.0\n");
  look(back);
  EXPECT_EQ(times(), 0U);
  posix_files().remove(run() / "NEEDS_STATE");
  look(back);
  EXPECT_EQ(times(), 1U);
}

TEST_F(Back, WhileAJobRunsNothingIsSubmitted) {
  BringBack back(posix_files(), clock_, run(), command());
  put("WAITING", "3.0.0\n");
  put("inbox/round-3.0.0/CLOSED");
  {
    RoleLock job(run() / "train.lock", "train");
    look(back);
    EXPECT_EQ(times(), 0U);
  }
  look(back);
  EXPECT_EQ(times(), 1U);
}

TEST_F(Back, ACommandThatFailsIsTriedAgainMoreAndMoreSlowly) {
  BringBack back(posix_files(), clock_, run(), command("; exit 3"));
  put("WAITING", "3.0.0\n");
  put("inbox/round-3.0.0/CLOSED");
  look(back);  // 200 s: after 5, 10, 20, 40 and 80 s
  EXPECT_GE(times(), 3U);
  EXPECT_LE(times(), 6U);
  EXPECT_TRUE(posix_files().exists(run() / "WAITING"));
}

TEST_F(Back, ABorderThatWasKilledMeanwhileSubmitsAgain) {
  put("WAITING.taken", "3.0.0\n");
  put("inbox/round-3.0.0/CLOSED");
  BringBack back(posix_files(), clock_, run(), command());
  look(back);
  EXPECT_EQ(times(), 1U);
  EXPECT_FALSE(posix_files().exists(run() / "WAITING.taken"));
}

TEST_F(Back, WithoutACommandOrAPlainExchangeNothingHappens) {
  BringBack none(posix_files(), clock_, run(), "");
  BringBack back(posix_files(), clock_, run(), command());
  put("WAITING", "../3.0.0\n");
  put("inbox/round-3.0.0/CLOSED");
  look(none);
  look(back);
  EXPECT_EQ(times(), 0U);
}

TEST_F(Back, TheCommandKnowsNothingOfThisJob) {
  ::setenv("SLURM_JOB_ID", "17", 1);
  ::setenv("SLURM_CONF", "here", 1);
  put("WAITING", "3.0.0\n");
  put("inbox/round-3.0.0/CLOSED");
  BringBack back(posix_files(), clock_, run(),
                 "echo \"${SLURM_JOB_ID:-none} $SLURM_CONF\" > '" + (run() / "ran").string() + "'");
  look(back);
  EXPECT_EQ(read_text(posix_files(), run() / "ran"), "none here\n");
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_CONF");
}

}  // namespace
}  // namespace concordat::site
