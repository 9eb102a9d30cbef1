#include "concordat/exact/philox.hpp"

#include <string>

#include "concordat/core/error.hpp"

namespace concordat::exact {

namespace {

constexpr std::uint32_t multiplier_0 = 0xD2511F53U;
constexpr std::uint32_t multiplier_1 = 0xCD9E8D57U;
constexpr std::uint32_t weyl_0 = 0x9E3779B9U;
constexpr std::uint32_t weyl_1 = 0xBB67AE85U;

constexpr std::uint32_t high(std::uint64_t product) {
  return static_cast<std::uint32_t>(product >> 32U);
}
constexpr std::uint32_t low(std::uint64_t product) { return static_cast<std::uint32_t>(product); }

}  // namespace

PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{multiplier_0} * counter[0];
    const std::uint64_t p1 = std::uint64_t{multiplier_1} * counter[2];
    counter = {high(p1) ^ counter[1] ^ key[0], low(p1), high(p0) ^ counter[3] ^ key[1], low(p0)};
    key[0] += weyl_0;
    key[1] += weyl_1;
  }
  return counter;
}

PhiloxCounter random_block(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                           std::uint64_t block) {
  CONCORDAT_REQUIRE(block >> 40U == 0 && stream >> 24U == 0,
                    "block " + std::to_string(block) + ", stream " + std::to_string(stream));
  // Counter words: block (40 bits), stream (24), purpose (32), zero (32).
  const PhiloxCounter counter{static_cast<std::uint32_t>(block),
                              static_cast<std::uint32_t>(block >> 32U) | (stream << 8U),
                              static_cast<std::uint32_t>(purpose), 0};
  const PhiloxKey key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)};
  return philox4x32_10(counter, key);
}

std::uint32_t random_u32(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                         std::uint64_t index) {
  return random_block(seed, purpose, stream, index / 4)[index % 4];
}

std::uint64_t random_u64(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                         std::uint64_t index) {
  const PhiloxCounter words = random_block(seed, purpose, stream, index);
  return words[0] | (std::uint64_t{words[1]} << 32U);
}

std::uint64_t random_below(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                           std::uint64_t index, std::uint64_t bound) {
  CONCORDAT_REQUIRE(bound > 0, "bound 0");
  // High half of a 64 x 64 bit product, in 32-bit pieces (ISO C++ has no 128-bit integer).
  const std::uint64_t a = random_u64(seed, purpose, stream, index);
  const std::uint64_t a0 = low(a), a1 = high(a), b0 = low(bound), b1 = high(bound);
  const std::uint64_t middle = a1 * b0 + high(a0 * b0);
  const std::uint64_t other = a0 * b1 + low(middle);
  return a1 * b1 + high(middle) + high(other);
}

}  // namespace concordat::exact
