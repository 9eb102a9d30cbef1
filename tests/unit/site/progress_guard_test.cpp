// What counts as progress between two jobs.
#include "site/progress_guard.hpp"

#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::site {
namespace {

class Progress : public ::testing::Test {
 protected:
  void job(std::int64_t step, std::uint32_t round) {
    ProgressGuard(posix_files(), folder_.path()).started(step, round);
  }
  testing_support::TemporaryFolder folder_;
};

TEST_F(Progress, TwoJobsThatGetNoFurtherHoldTheThird) {
  job(10, 1);
  job(10, 1);
  EXPECT_ERROR_SAYS(job(10, 1), errors::no_progress, "step 10, round 1");
  // Held until somebody looks, also if the same is tried again.
  EXPECT_ERROR_SAYS(job(10, 1), errors::no_progress, "remove progress.json");
  posix_files().remove(folder_.path() / "progress.json");
  EXPECT_NO_THROW(job(10, 1));
}

TEST_F(Progress, AStepOrARoundIsProgress) {
  for (std::int64_t step = 0; step < 5; ++step) EXPECT_NO_THROW(job(step, 0));
  for (std::uint32_t round = 1; round < 5; ++round) EXPECT_NO_THROW(job(4, round));
  job(4, 4);
  EXPECT_NO_THROW(job(5, 4));
  job(5, 4);
  EXPECT_ERROR(job(5, 4), errors::no_progress);
}

TEST_F(Progress, WaitingForOthersIsNoStandstill) {
  for (int i = 0; i < 5; ++i) {
    ProgressGuard guard(posix_files(), folder_.path());
    EXPECT_NO_THROW(guard.started(20, 1));
    guard.reached_exchange();
  }
  // A job that comes back and does not even get there again is counted.
  job(20, 1);
  job(20, 1);
  EXPECT_ERROR(job(20, 1), errors::no_progress);
}

TEST_F(Progress, AJobThatAPersonEndedSaysNothing) {
  for (int i = 0; i < 5; ++i) {
    ProgressGuard guard(posix_files(), folder_.path());
    EXPECT_NO_THROW(guard.started(7, 0));
    guard.stopped();
  }
}

TEST_F(Progress, AFileThatIsNoneIsNamed) {
  write_atomically(posix_files(), folder_.path() / "progress.json", as_bytes("{\"step\": 1}"));
  EXPECT_ERROR_SAYS(job(1, 0), concordat::errors::malformed, "progress.json");
}

}  // namespace
}  // namespace concordat::site
