// Philox4x32-10: the counter-based generator behind all numeric randomness.
//
// A draw is a pure function of (seed, purpose, stream, index): it does not depend on what was drawn
// before, on the layout, or on the number of threads.
//
//   using namespace concordat::exact;
//   std::uint32_t u = random_u32(seed, Purpose::data_order, /*stream=*/epoch, /*index=*/sample);
//   std::uint64_t k = random_below(seed, Purpose::data_order, epoch, sample, /*bound=*/1000);
//
// Never for secrets: those come from crypto::SecureRandom, which does not convert to this.
// Threads: pure functions. Cost: one block of four words is about 40 integer instructions.
#pragma once

#include <array>
#include <cstdint>

namespace concordat::exact {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

/// The published bijection (Salmon et al., SC 2011), 10 rounds.
PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key);

/// What a draw is for; part of the counter, so that two uses never share numbers. Values are fixed.
enum class Purpose : std::uint32_t {
  initial_weights = 1,
  data_order = 2,
  dropout = 3,
  synthetic = 4,  ///< made-up inputs of tests, benchmarks and examples
  sampling = 5,   ///< tokens drawn from a model's distribution
};

/// Four words of (seed, purpose, stream, block). @pre block < 2^40, stream < 2^24.
PhiloxCounter random_block(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                           std::uint64_t block);

/// Word `index` of the sequence (seed, purpose, stream): word index % 4 of block index / 4.
std::uint32_t random_u32(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                         std::uint64_t index);

/// 64 bits: words 0 and 1 of block `index`.
std::uint64_t random_u64(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                         std::uint64_t index);

/// In [0, bound), bias below bound / 2^64. @pre bound > 0.
std::uint64_t random_below(std::uint64_t seed, Purpose purpose, std::uint32_t stream,
                           std::uint64_t index, std::uint64_t bound);

}  // namespace concordat::exact
