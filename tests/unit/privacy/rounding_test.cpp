#include "concordat/privacy/rounding.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "concordat/crypto/hash.hpp"

namespace concordat::privacy {
namespace {

std::vector<std::uint32_t> words(std::string_view key, std::uint64_t block, std::size_t count) {
  std::vector<std::uint32_t> out(count);
  rounding_words(crypto::SecretBytes::copy_of(crypto::sha256(as_bytes(key)).view()),
                 BlockIndex{block}, out);
  return out;
}

TEST(RoundingWords, AreAFunctionOfKeyAndBlock) {
  const auto first = words("site key", 3, 1000);
  EXPECT_EQ(first, words("site key", 3, 1000));
  EXPECT_NE(first, words("site key", 4, 1000));
  EXPECT_NE(first, words("another key", 3, 1000));
  const auto shorter = words("site key", 3, 10);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), first.begin()));
}

// Computed by tests/unit/privacy/mask_model.py.
TEST(RoundingWords, HaveTheBytesOfTheFormatPage) {
  EXPECT_EQ(words("site key", 3, 2), (std::vector<std::uint32_t>{0x36c4936a, 0xcd466d72}));
}

TEST(RoundingWords, AreUniform) {
  double mean = 0;
  constexpr std::size_t n = 100000;
  for (const std::uint32_t word : words("site key", 0, n)) mean += word / 4294967296.0;
  EXPECT_NEAR(mean / n, 0.5, 4 * 0.2887 / 316.2);
}

}  // namespace
}  // namespace concordat::privacy
