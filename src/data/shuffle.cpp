#include "data/shuffle.hpp"

#include <bit>
#include <string>

#include "concordat/core/error.hpp"
#include "concordat/exact/philox.hpp"

namespace concordat::data {
namespace {

constexpr std::uint64_t num_rounds = 6;
// Indices of the draws of one epoch: round functions below, the shift above.
constexpr std::uint64_t shift_index = num_rounds << 32U;

}  // namespace

Shuffle::Shuffle(std::uint64_t seed, std::uint64_t epoch, std::uint64_t count)
    : seed_(seed), epoch_(static_cast<std::uint32_t>(epoch)), count_(count) {
  CONCORDAT_REQUIRE(count > 0 && epoch < (1U << 24U), std::to_string(epoch));
  // Two halves of equal width that together cover count; at most four times too large.
  half_bits_ = (static_cast<unsigned>(std::bit_width(count - 1)) + 1) / 2;
  if (half_bits_ == 0) half_bits_ = 1;
}

// A Feistel network is a permutation whatever its round function is.
std::uint64_t Shuffle::round_trip(std::uint64_t value) const {
  const std::uint64_t mask = (1ULL << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint64_t round = 0; round < num_rounds; ++round) {
    std::uint64_t mixed =
        exact::random_u32(seed_, exact::Purpose::data_order, epoch_, (round << 32U) | right);
    std::uint64_t next = left ^ (mixed & mask);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

std::uint64_t Shuffle::position(std::uint64_t index) const {
  CONCORDAT_REQUIRE(index < count_, std::to_string(index));
  // Walking along the cycle until a value is in range keeps it a permutation of the smaller set.
  std::uint64_t value = round_trip(index);
  while (value >= count_) value = round_trip(value);
  return value;
}

std::uint64_t Shuffle::shift(std::uint64_t bound) const {
  CONCORDAT_REQUIRE(bound > 0, "0");
  const std::uint64_t high =
      exact::random_u32(seed_, exact::Purpose::data_order, epoch_, shift_index);
  const std::uint64_t low =
      exact::random_u32(seed_, exact::Purpose::data_order, epoch_, shift_index + 1);
  return ((high << 32U) | low) % bound;  // a bias below 2^-32 for any real bound
}

}  // namespace concordat::data
