#include "concordat/exact/scales.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/philox.hpp"
#include "support/expect_error.hpp"

namespace concordat::exact {
namespace {

const ScaleRule rule{.first_multiple = 1.0, .summed_rates = 0.03, .spread = 3.0};

TEST(IntegerSqrt, IsExactAroundSquares) {
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const std::uint64_t root = i < 1000 ? i : random_u64(1, Purpose::synthetic, 0, i) >> 32U;
    EXPECT_EQ(integer_sqrt({0, root * root}), root);
    if (root > 0) {
      EXPECT_EQ(integer_sqrt({0, root * root - 1}), root - 1);
      EXPECT_EQ(integer_sqrt({0, root * root + root}), root);
    }
  }
  EXPECT_EQ(integer_sqrt({1, 0}), 1ULL << 32U);
  EXPECT_EQ(integer_sqrt({~0ULL, ~0ULL}), ~0ULL);
}

TEST(SumOfSquares, IsExactInEveryLane) {
  for (const auto& [bits, lane, survivors] :
       {std::tuple{4, Lane::u8, 17U}, {8, Lane::u16, 257U}, {16, Lane::u32, 65535U}}) {
    const Quantiser q{bits, lane};
    const std::size_t n = 3001;
    const std::uint64_t top = max_sum(survivors, bits);
    Bytes sums(n * lane_bytes(lane));
    SquareSum expected;
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t sum = i == 0 ? 0 : random_below(3, Purpose::synthetic, 0, i, top + 1);
      for (std::size_t b = 0; b < lane_bytes(lane); ++b) {
        sums[i * lane_bytes(lane) + b] = static_cast<std::uint8_t>(sum >> (8 * b));
      }
      const std::int64_t c = static_cast<std::int64_t>(sum) - std::int64_t{survivors} * q.offset();
      const auto square = static_cast<std::uint64_t>(c * c);
      expected.low += square;
      expected.high += expected.low < square ? 1 : 0;
    }
    EXPECT_EQ(sum_of_squares(q, survivors, sums), expected);
  }
}

TEST(Scales, GiveTheWorkedExample) {
  const Quantiser q{4, Lane::u8};
  const Bytes sums{27, 23, 25, 38, 9, 29};
  const SquareSum squares = sum_of_squares(q, 3, sums);
  EXPECT_EQ(squares, (SquareSum{0, 457}));
  const float scale = next_scale(rule, q, q.bits, 0.1F, 3, squares, 6);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(scale), 0x3e41599aU);
}

TEST(Scales, StartAtTheMultipleOfTheSummedRates) {
  EXPECT_EQ(first_scale(rule, 8), static_cast<float>(0.03 / 128));
  EXPECT_EQ(first_scale({.first_multiple = 2.0, .summed_rates = 0.03}, 4),
            static_cast<float>(0.06 / 8));
  EXPECT_EQ(first_scale({.summed_rates = 1e9}, 8), 1e3F);
}

TEST(Scales, ChangeAtMostTwofoldARoundWithinFloorAndCap) {
  const Quantiser q{8, Lane::u16};
  EXPECT_EQ(next_scale(rule, q, q.bits, 0.5F, 3, {0, 0}, 100), 0.25F);
  EXPECT_EQ(next_scale(rule, q, q.bits, 0.5F, 3, {0, 100ULL * 384 * 384}, 100), 1.0F);
  ScaleRule tight = rule;
  tight.floor = 0.4F;
  tight.cap = 0.6F;
  EXPECT_EQ(next_scale(tight, q, q.bits, 0.5F, 3, {0, 0}, 100), 0.4F);
  EXPECT_EQ(next_scale(tight, q, q.bits, 0.5F, 3, {0, 100ULL * 384 * 384}, 100), 0.6F);
}

TEST(Scales, KeepTheRangeWhenTheNextRoundHasOtherBits) {
  const Quantiser q{8, Lane::u16};
  // RMS of 128 / 3 steps fits exactly: the range stays, so the step of 4 bits is 16 times as wide.
  const double rms = 128.0 / 3.0;
  const auto squares = static_cast<std::uint64_t>(rms * rms * 1e6);
  EXPECT_NEAR(next_scale(rule, q, 8, 0.5F, 1, {0, squares}, 1000000), 0.5F, 0.002F);
  EXPECT_NEAR(next_scale(rule, q, 4, 0.5F, 1, {0, squares}, 1000000), 8.0F, 0.04F);
  EXPECT_EQ(next_scale(rule, q, 4, 0.5F, 1, {0, 0}, 1000000), 4.0F);
}

TEST(Scales, SettleWhereTheSpreadFitsHalfTheRange) {
  // Gaussian updates of RMS sigma at n sites: the scale settles near spread * sigma / 2^(q-1).
  const Quantiser q{8, Lane::u16};
  const std::uint32_t n = 4;
  const double sigma = 0.02;
  float scale = 1.0F;
  for (int round = 0; round < 20; ++round) {
    // Orthogonal updates: the sum's RMS in steps is sigma * sqrt(n) / scale, as an integer square.
    const double rms = sigma * 2.0 / static_cast<double>(scale);
    const auto squares = static_cast<std::uint64_t>(rms * rms * 1e6);
    scale = next_scale(rule, q, q.bits, scale, n, {0, squares}, 1000000);
  }
  EXPECT_NEAR(scale, 3.0 * sigma / 128, 0.01 * 3.0 * sigma / 128);
}

TEST(ScaleRule, RefusesSettingsThatMakeNoScale) {
  check_rule(rule);
  for (const auto& change : std::vector<void (*)(ScaleRule&)>{
           [](ScaleRule& r) { r.first_multiple = 0; }, [](ScaleRule& r) { r.summed_rates = NAN; },
           [](ScaleRule& r) { r.spread = -1; }, [](ScaleRule& r) { r.floor = 0.0F; },
           [](ScaleRule& r) { r.cap = r.floor / 2; }, [](ScaleRule& r) { r.cap = INFINITY; }}) {
    ScaleRule wrong = rule;
    change(wrong);
    EXPECT_ERROR(check_rule(wrong), errors::setting);
  }
}

}  // namespace
}  // namespace concordat::exact
