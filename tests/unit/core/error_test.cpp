#include "concordat/core/error.hpp"

#include <gtest/gtest.h>

namespace concordat {
namespace {

TEST(Error, MessageNamesCodeWhatWhereFoundExpectedRemedy) {
  Error error(errors::malformed, {.what = "a digest has the wrong length",
                                  .where = "roster.json",
                                  .found = "31 bytes",
                                  .expected = "32 bytes",
                                  .remedy = "fetch the roster again"});
  EXPECT_STREQ(error.what(),
               "core.malformed: a digest has the wrong length; where: roster.json; found: 31 "
               "bytes; expected: 32 bytes; remedy: fetch the roster again");
  EXPECT_EQ(error.exit_code(), ExitCode::data);
  EXPECT_EQ(error.severity(), Severity::request);
}

TEST(Error, BrokenPreconditionIsABugThatPrintsItsValues) {
  int rank = 7;
  try {
    CONCORDAT_REQUIRE(rank < 4, std::to_string(rank));
    FAIL();
  } catch (const Bug& bug) {
    EXPECT_NE(std::string(bug.what()).find("rank < 4 (7)"), std::string::npos);
  }
}

}  // namespace
}  // namespace concordat
