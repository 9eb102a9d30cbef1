#include "concordat/exact/quantiser.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/philox.hpp"
#include "support/expect_error.hpp"

namespace concordat::exact {
namespace {

std::vector<std::uint32_t> words(std::uint64_t seed, std::size_t count) {
  std::vector<std::uint32_t> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = random_u32(seed, Purpose::synthetic, 1, i);
  return out;
}

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

// The worked example of docs/formats/quantiser.md, from tests/unit/exact/quantiser_model.py.
class WorkedExample : public testing::Test {
 protected:
  struct Site {
    std::uint32_t tokens;
    std::vector<float> update, error;
    std::vector<std::uint8_t> codes;
    std::vector<std::uint32_t> error_bits;
  };
  const Quantiser q{.bits = 4, .lane = Lane::u8};
  const std::vector<std::uint32_t> random{0x80000000, 0x20000000, 0x00000000,
                                          0xFFFFFFFF, 0x40000000, 0xC0000000};
  const std::vector<Site> sites{
      {8,
       {0.25F, -0.31F, 0.0F, 1.5F, -0.8F, 0.04F},
       {0.0F, 0.01F, 0.0F, 0.0F, -0.1F, 0.0F},
       {10, 5, 8, 15, 0, 8},
       {0x3d4ccccc, 0x00000000, 0x00000000, 0x3f4ccccd, 0xbdccccd0, 0x3d23d70a}},
      {4,
       {0.1F, -0.2F, 0.0F, 0.9F, -0.7F, 0.5F},
       {0.02F, 0.0F, 0.0F, 0.3F, 0.0F, 0.0F},
       {9, 7, 8, 14, 5, 10},
       {0xbda3d70a, 0x00000000, 0x00000000, 0x00000000, 0xbdccccc8, 0x3dcccccc}},
      {6,
       {-0.05F, 0.33F, 0.0F, 0.2F, -0.6F, 0.45F},
       {0.0F, 0.0F, 0.05F, 0.0F, 0.0F, 0.0F},
       {8, 11, 9, 9, 4, 11},
       {0xbd4ccccd, 0xbd8f5c2c, 0xbdaaaaac, 0x3d888888, 0xbd888888, 0x3d4cccc0}}};
};

TEST_F(WorkedExample, GivesTheCodesAndErrorsOfThePage) {
  for (const Site& site : sites) {
    Bytes codes(6);
    std::vector<float> error(6);
    quantise(q, {site.tokens, 8}, 0.1F, site.update, site.error, random, 0, codes, error);
    EXPECT_EQ(codes, site.codes);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(bits(error[i]), site.error_bits[i]) << i;
  }
}

TEST_F(WorkedExample, GivesTheSumAndTheDequantisedUpdateOfThePage) {
  Bytes sums(6, 0);
  for (const Site& site : sites) add_lanes(Lane::u8, sums, site.codes);
  EXPECT_EQ(sums, (Bytes{27, 23, 25, 38, 9, 29}));
  check_range(Lane::u8, sums, max_sum(3, 4), 0);
  std::vector<float> d(6);
  dequantise(q, 0.1F, {.survivors = 3, .cap = 8, .total = 18}, sums, d);
  const std::uint32_t expected[] = {0x3e088889, 0xbd360b61, 0x3d360b61,
                                    0x3f1f49f5, 0xbf2aaaab, 0x3e638e39};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(bits(d[i]), expected[i]) << i;
}

TEST_F(WorkedExample, MayWriteTheErrorOverItsInput) {
  std::vector<float> error = sites[0].error;
  Bytes codes(6);
  quantise(q, {8, 8}, 0.1F, sites[0].update, error, random, 0, codes, error);
  EXPECT_EQ(codes, sites[0].codes);
  EXPECT_EQ(bits(error[4]), sites[0].error_bits[4]);
}

TEST(Quantise, IsUnbiasedAndKeepsWhatItLoses) {
  constexpr std::size_t n = 100000;
  for (const auto& [width, lane] : {std::pair{4, Lane::u8}, {8, Lane::u16}, {16, Lane::u32}}) {
    const Quantiser q{width, lane};
    const float scale = 0.01F;
    const float value = 0.0137F;  // 1.37 steps
    const std::vector<float> u(n, value);
    std::vector<float> error(n), d(n);
    Bytes codes(n * lane_bytes(lane));
    quantise(q, {10, 10}, scale, u, {}, words(5, n), 0, codes, error);
    dequantise(q, scale, {1, 10, 10}, codes, d);
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) {
      mean += static_cast<double>(d[i]);
      ASSERT_NEAR(d[i] + error[i], value, 1e-8F);
      ASSERT_LE(std::abs(error[i]), scale);
    }
    // Standard error: scale * sqrt(0.37 * 0.63 / n).
    EXPECT_NEAR(mean / n, 0.0137, 4 * 0.01 * 0.483 / std::sqrt(n));
  }
}

TEST(Quantise, FeedbackCarriesAValueFarBelowOneStep) {
  // With feedback the sum over rounds follows the sum of updates to within one step.
  const Quantiser q{4, Lane::u8};
  std::vector<float> error(1, 0.0F), d(1);
  const std::vector<float> u(1, 0.0003F);
  double sent = 0;
  for (std::uint64_t round = 0; round < 1000; ++round) {
    Bytes codes(1);
    quantise(q, {3, 7}, 0.01F, u, error, words(round, 1), 0, codes, error);
    dequantise(q, 0.01F, {1, 7, 3}, codes, d);
    sent += static_cast<double>(d[0]);
  }
  EXPECT_NEAR(sent, 0.3, 0.01 * 7 / 3 * 1.01);
}

TEST(Quantise, ClampsToTheCodeRangeAndReturnsTheRestAsError) {
  const Quantiser q{8, Lane::u8};
  const std::vector<float> u{1e30F, -1e30F, 127.0F, -128.0F};
  Bytes codes(4);
  std::vector<float> error(4);
  quantise(q, {1, 1}, 1.0F, u, {}, words(1, 4), 0, codes, error);
  EXPECT_EQ(codes, (Bytes{255, 0, 255, 0}));
  EXPECT_EQ(error[0], 1e30F);
  EXPECT_EQ(error[2], 0.0F);
  EXPECT_EQ(error[3], 0.0F);
}

TEST(Quantise, ZeroTokensUploadZeroAndKeepTheUpdate) {
  const Quantiser q{8, Lane::u16};
  const std::vector<float> u{1.0F, -2.0F};
  std::vector<float> error{0.5F, 0.25F};
  Bytes codes(4);
  quantise(q, {0, 100}, 0.1F, u, error, words(1, 2), 0, codes, error);
  EXPECT_EQ(codes, (Bytes{128, 0, 128, 0}));
  EXPECT_EQ(error, (std::vector<float>{1.5F, -1.75F}));
}

TEST(Quantise, NamesTheCanonicalIndexOfNanAndInfinity) {
  constexpr std::size_t n = 5000;
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> u(n, 0.1F);
    u[3333] = bad;
    u[3334] = bad;
    Bytes codes(n);
    try {
      quantise({4, Lane::u8}, {1, 1}, 0.1F, u, {}, words(1, n), 70000, codes, {});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), errors::not_finite);
      EXPECT_EQ(error.fields().where, "canonical index 73333");
    }
  }
  // Two finite numbers whose sum is not.
  const std::vector<float> u(1, 3e38F), e(1, 3e38F);
  Bytes codes(1);
  EXPECT_ERROR(quantise({4, Lane::u8}, {1, 1}, 0.1F, u, e, words(1, 1), 0, codes, {}),
               errors::not_finite);
}

TEST(Weights, AboveTheCapOrBeyond32BitsAreRefused) {
  EXPECT_NO_THROW(check_weight({8, 8}));
  EXPECT_ERROR(check_weight({9, 8}), errors::weight);
  EXPECT_ERROR(check_weight({0, 0}), errors::weight);
  EXPECT_NO_THROW(check_weight_cap(3, 1431655765));  // 4294967295
  EXPECT_ERROR_SAYS(check_weight_cap(2, 0x80000000), errors::weight, "exchange.weight_cap");
  std::vector<float> d(1);
  const Bytes sums{24};
  EXPECT_ERROR(dequantise({4, Lane::u8}, 0.1F, {3, 8, 0}, sums, d), errors::weight);
  EXPECT_ERROR(dequantise({4, Lane::u8}, 0.1F, {3, 8, 25}, sums, d), errors::weight);
}

TEST(Dequantise, IsExactAtTheLargestSums) {
  const Quantiser q{16, Lane::u32};
  const std::uint32_t n = 65535;
  Bytes sums(8, 0);
  const std::uint64_t most = max_sum(n, 16);
  for (std::size_t i = 0; i < 4; ++i) sums[i] = static_cast<std::uint8_t>(most >> (8 * i));
  std::vector<float> d(2);
  dequantise(q, 1.0F, {n, 1, n}, sums, d);
  EXPECT_EQ(d[0], 32767.0F);
  EXPECT_EQ(d[1], -32768.0F);
}

}  // namespace
}  // namespace concordat::exact
