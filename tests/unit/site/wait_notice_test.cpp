#include "site/wait_notice.hpp"

#include <gtest/gtest.h>

#include "concordat/core/log.hpp"
#include "concordat/site/border_page.hpp"
#include "support/temporary_folder.hpp"
#include "unit/site/border_world.hpp"

namespace concordat::site {
namespace {

class WaitNoticeTest : public ::testing::Test {
 protected:
  // The worlds of borders in this program silence the log.
  WaitNoticeTest() { log::set_level(log::Level::info); }
  /// What is logged when the job still waits in `round` after `seconds` more.
  std::string after(int seconds, std::uint32_t round = 2) {
    clock_.sleep(std::chrono::seconds(seconds));
    ::testing::internal::CaptureStderr();
    notice_.look(Round{round});
    return ::testing::internal::GetCapturedStderr();
  }
  testing_support::TemporaryFolder folder_;
  testing::TestClock clock_;
  WaitNotice notice_{folder_.path(), folder_.path(), posix_files(), clock_};
};

TEST_F(WaitNoticeTest, SaysOnceThatNoBorderAnswersAndThatOneCame) {
  EXPECT_EQ(after(0), "");
  EXPECT_EQ(after(4), "");
  const std::string missing = after(2);
  EXPECT_NE(missing.find("no border answers"), std::string::npos) << missing;
  EXPECT_NE(missing.find("in round 2; start 'concordat border SITE.toml'"), std::string::npos);
  EXPECT_EQ(after(4), "");
  EXPECT_EQ(after(600), "");
  const RoleLock lock(folder_.path() / "border.lock", "border");
  EXPECT_NE(after(4).find("the border runs now"), std::string::npos);
}

TEST_F(WaitNoticeTest, SaysAfterAMinuteAndThenEveryTenWhatTheBorderWaitsFor) {
  const RoleLock lock(folder_.path() / "border.lock", "border");
  write_border_page(posix_files(), folder_.path(), {.phase = "committed"});
  EXPECT_EQ(after(0), "");
  EXPECT_EQ(after(30), "");
  const std::string first = after(31);
  EXPECT_NE(first.find("has waited 1:01 in round 2; the border uploads"), std::string::npos)
      << first;
  EXPECT_EQ(after(300), "");
  EXPECT_NE(after(300).find("has waited"), std::string::npos);
  EXPECT_EQ(after(30, 3), "") << "another round begins anew";
}

}  // namespace
}  // namespace concordat::site
