#include "concordat/exact/philox.hpp"

#include <gtest/gtest.h>

#include "concordat/core/error.hpp"

namespace concordat::exact {
namespace {

// Known answers published with the generator (Random123, kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, GivesThePublishedKnownAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32_10({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Computed by a second implementation in Python.
TEST(Philox, SequencesDependOnSeedPurposeStreamAndIndexAlone) {
  const std::uint32_t expected[] = {0xa6bccc16, 0x3034d851, 0x6c8cc9cb,
                                    0x533d107d, 0xba9ccba3, 0x3e3a4eca};
  for (std::uint64_t i = 6; i-- > 0;) {
    EXPECT_EQ(random_u32(42, Purpose::data_order, 3, i), expected[i]) << i;
  }
  EXPECT_NE(random_u32(43, Purpose::data_order, 3, 0), expected[0]);
  EXPECT_NE(random_u32(42, Purpose::dropout, 3, 0), expected[0]);
  EXPECT_NE(random_u32(42, Purpose::data_order, 4, 0), expected[0]);
}

TEST(Philox, RandomBelowStaysBelowAndReachesEveryValue) {
  int seen[7] = {};
  for (std::uint64_t i = 0; i < 7000; ++i) {
    const std::uint64_t k = random_below(1, Purpose::synthetic, 0, i, 7);
    ASSERT_LT(k, 7U);
    ++seen[k];
  }
  for (int count : seen) EXPECT_NEAR(count, 1000, 150);
  const std::uint64_t big = (1ULL << 63U) + 12345;
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_LT(random_below(1, Purpose::synthetic, 0, i, big), big);
  }
  EXPECT_THROW(random_below(1, Purpose::synthetic, 0, 0, 0), Bug);
}

}  // namespace
}  // namespace concordat::exact
