// Numbers of flags that no schema knows.
#include <gtest/gtest.h>

#include <limits>

#include "cli/command.hpp"
#include "support/expect_error.hpp"

namespace concordat::cli {
namespace {

TEST(Numbers, WholeNumbersAreDigitsWithinTheirBounds) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(whole_number("eval", "windows", "1", 1, 10), 1U);
  EXPECT_EQ(whole_number("eval", "windows", "10", 1, 10), 10U);
  EXPECT_EQ(whole_number("eval", "seed", "18446744073709551615", 0, most), most);
  for (const char* wrong : {"", "abc", "-1", "+1", " 1", "1 ", "1.5", "1e3", "0x10", "0", "11",
                            "18446744073709551616", "inf", "nan", "true"}) {
    EXPECT_ERROR_SAYS(whole_number("eval", "windows", wrong, 1, 10), errors::usage, "--windows");
  }
}

TEST(Numbers, RealNumbersAreFiniteAndWithinTheirBounds) {
  EXPECT_EQ(real_number("generate", "temperature", "0", 0.0, 1000.0), 0.0);
  EXPECT_EQ(real_number("generate", "temperature", "0.8", 0.0, 1000.0), 0.8);
  EXPECT_EQ(real_number("generate", "temperature", "1e3", 0.0, 1000.0), 1000.0);
  for (const char* wrong :
       {"", "warm", "-1", "-0.1", "inf", "-inf", "nan", "1e300", "1e999", "0.8 ", " 0.8", "0.8x"}) {
    EXPECT_ERROR_SAYS(real_number("generate", "temperature", wrong, 0.0, 1000.0), errors::usage,
                      "from 0 to 1000");
  }
}

}  // namespace
}  // namespace concordat::cli
