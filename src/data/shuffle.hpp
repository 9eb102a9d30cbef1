// Shuffle: a permutation of 0 .. count-1 that is computed position by position, with no table.
//
//   Shuffle shuffle(seed, epoch, 1000);
//   shuffle.position(0);     // where sample 0 of this epoch goes; different for each sample
//   shuffle.shift(128);      // a number below 128, the epoch's own
//
// Pure functions of (seed, epoch, count). Threads: const use from any.
#pragma once

#include <cstdint>

namespace concordat::data {

class Shuffle {
 public:
  /// @pre count > 0, epoch < 2^24 (the generator's streams).
  Shuffle(std::uint64_t seed, std::uint64_t epoch, std::uint64_t count);
  /// @pre index < count.
  std::uint64_t position(std::uint64_t index) const;
  /// @pre bound > 0.
  std::uint64_t shift(std::uint64_t bound) const;

 private:
  std::uint64_t round_trip(std::uint64_t value) const;
  std::uint64_t seed_;
  std::uint32_t epoch_;
  std::uint64_t count_;
  unsigned half_bits_;
};

}  // namespace concordat::data
