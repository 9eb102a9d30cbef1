// What rank 0 sees all ranks learn, and a look at the file system is rare.
#include "site/job_control.hpp"

#include <gtest/gtest.h>

#include "concordat/comm/threads.hpp"
#include "support/temporary_folder.hpp"
#include "unit/site/test_clock.hpp"
#include "unit/site/toy_site.hpp"

namespace concordat::site {
namespace {

TEST(JobControl, RankZeroLooksEveryTwoSecondsAndAllRanksLearn) {
  testing_support::TemporaryFolder home;
  comm::run_threads(3, [&](comm::Communicator& comm) {
    testing::TestClock clock;
    JobControl control(comm, quick_files(), home.path(), clock);
    int looks = 0;
    bool there = false;
    control.watch([&] {
      ++looks;
      return there;
    });
    const auto poll = [&] {
      EXPECT_EQ(control.poll(), StopKind::none);
      return control.noticed();
    };
    const int mine = comm.rank() == 0 ? 1 : 0;
    for (int i = 0; i < 50; ++i) EXPECT_FALSE(poll());
    EXPECT_EQ(looks, mine) << "one look for fifty steps within two seconds";
    there = comm.rank() == 0;
    EXPECT_FALSE(poll());
    clock.sleep(std::chrono::seconds(2));
    EXPECT_TRUE(poll()) << "rank " << comm.rank();
    EXPECT_EQ(looks, 2 * mine);
    EXPECT_FALSE(poll()) << "said once for each look";
    control.watch({});
    clock.sleep(std::chrono::seconds(2));
    EXPECT_FALSE(poll());
  });
}

TEST(JobControl, ALookThatFailsIsAskedAboutOnAllRanks) {
  testing_support::TemporaryFolder home;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    testing::TestClock clock;
    JobControl control(comm, quick_files(), home.path(), clock);
    control.watch([]() -> bool {
      throw Error(errors::io_failed, {.what = "a disk that does not answer", .where = "a test"});
    });
    EXPECT_EQ(control.poll(), StopKind::none);
    EXPECT_TRUE(control.noticed());
  });
}

TEST(JobControl, AWishToSaveThatComesWhereNothingCanBeSavedIsKept) {
  testing_support::TemporaryFolder home;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    testing::TestClock clock;
    JobControl control(comm, quick_files(), home.path(), clock);
    const auto touch = [&](const char* name) {
      if (comm.rank() == 0) write_atomically(quick_files(), home.path() / name, as_bytes(""));
      clock.sleep(std::chrono::seconds(1));
    };
    touch("SAVE");
    EXPECT_FALSE(control.stop_asked());
    EXPECT_FALSE(control.stop_asked()) << "asked twice, and still kept";
    EXPECT_EQ(control.poll(), StopKind::save);
    EXPECT_EQ(control.poll(), StopKind::none) << "used up";
    touch("SAVE");
    EXPECT_FALSE(control.stop_asked());
    touch("STOP");
    EXPECT_TRUE(control.stop_asked());
    EXPECT_EQ(control.poll(), StopKind::stop) << "the stronger one counts";
  });
}

}  // namespace
}  // namespace concordat::site
