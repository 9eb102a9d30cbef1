#include "concordat/exact/normal.hpp"

#include <gtest/gtest.h>
#include <xmmintrin.h>

#include <bit>
#include <cmath>
#include <vector>

#include "concordat/core/error.hpp"

namespace concordat::exact {
namespace {

TEST(ExactLog, AgreesWithTheLibraryToAFewUlp) {
  double worst = 0;
  for (int i = 1; i < 200000; ++i) {
    const double x = std::ldexp(static_cast<double>(i) * 0.7123, -(i % 40));
    const double reference = std::log(x);
    // Relative where the result is not near 0, where cancellation of k log 2 is bounded absolutely.
    const double error = std::abs(exact_log(x) - reference) / std::max(1.0, std::abs(reference));
    worst = std::max(worst, error);
  }
  EXPECT_LT(worst, 4e-16);
  EXPECT_EQ(exact_log(1.0), 0.0);
}

// Python's statistics.NormalDist().inv_cdf, which is the same published approximation over libm.
TEST(NormalQuantile, AgreesWithPython) {
  const std::pair<std::uint32_t, double> known[] = {{0x0, -6.337957754553789},
                                                    {0x1, -6.166429517819749},
                                                    {0x3e8, -5.039851125968711},
                                                    {0x10000000, -1.5341205434059566},
                                                    {0x40000000, -0.6744897498297384},
                                                    {0x7fffffff, -2.9180993729166234e-10},
                                                    {0x80000000, 2.9180993729166234e-10},
                                                    {0xc0000000, 0.6744897505624251},
                                                    {0xfffffff0, 5.78577796547104},
                                                    {0xffffffff, 6.337957754553789}};
  for (const auto& [word, z] : known) {
    EXPECT_NEAR(normal_quantile(word) / z, 1.0, 2e-15) << word;
  }
}

TEST(InitialiseNormal, GivesTheBitsOfTheSecondImplementation) {
  const std::uint32_t expected[] = {0xbb0a1cbe, 0xbc7455de, 0xbca35d9c, 0x3d1cf777, 0xbcbe57ec,
                                    0x3d47c47e, 0xbcb37ec7, 0xbcb56b8f, 0x3c3c3f7d, 0x3ad8acce};
  std::vector<float> out(10);
  initialise_normal(0x123456789abcdef0ULL, 7, 5, out, 0.02F);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(out[i]), expected[i]) << i;
  }
}

TEST(InitialiseNormal, DoesNotDependOnHowATensorIsCut) {
  std::vector<float> whole(1003), part(1003);
  initialise_normal(9, 2, 0, whole, 1.0F);
  for (std::size_t begin = 0, length = 1; begin < part.size(); begin += length, length += 3) {
    const std::size_t n = std::min(length, part.size() - begin);
    initialise_normal(9, 2, begin, std::span(part).subspan(begin, n), 1.0F);
  }
  EXPECT_EQ(whole, part);
}

TEST(InitialiseNormal, HasTheMomentsOfANormalDistribution) {
  std::vector<float> z(200000);
  initialise_normal(1, 0, 0, z, 1.0F);
  double mean = 0, square = 0, fourth = 0;
  for (const float x : z) {
    const double y = x;
    mean += y;
    square += y * y;
    fourth += y * y * y * y;
  }
  const double n = static_cast<double>(z.size());
  // Four standard errors: 1/sqrt(n), sqrt(2/n), sqrt(96/n).
  EXPECT_NEAR(mean / n, 0.0, 0.009);
  EXPECT_NEAR(square / n, 1.0, 0.013);
  EXPECT_NEAR(fourth / n, 3.0, 0.088);
}

TEST(InitialiseNormal, IgnoresAFlushToZeroThatSomebodyElseSet) {
  std::vector<float> plain(64), flushed(64);
  initialise_normal(1, 0, 0, plain, 1e-39F);
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040U | 0x2000U);  // FTZ, DAZ, round down
  initialise_normal(1, 0, 0, flushed, 1e-39F);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(mode);
  EXPECT_EQ(plain, flushed);
  EXPECT_EQ(after & 0xE040U, 0x8040U | 0x2000U) << "the caller's mode is restored";
  EXPECT_NE(plain[0], 0.0F);
}

TEST(InitialiseUniform, StaysInItsBounds) {
  std::vector<float> out(10000);
  initialise_uniform(3, 1, 0, out, 0.5F);
  double mean = 0;
  for (const float x : out) {
    ASSERT_GE(x, -0.5F);
    ASSERT_LE(x, 0.5F);
    mean += static_cast<double>(x);
  }
  EXPECT_NEAR(mean / 10000, 0.0, 0.015);
}

TEST(InitialiseNormal, RefusesAWidthThatIsNoNumber) {
  std::vector<float> out(4);
  EXPECT_THROW(initialise_normal(1, 0, 0, out, NAN), Error);
  EXPECT_THROW(initialise_normal(1, 0, 0, out, -1.0F), Error);
}

}  // namespace
}  // namespace concordat::exact
