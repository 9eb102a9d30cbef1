// Normal deviates and initial weights with the same bits on every machine.
//
// The deviate of an element is a pure function of (seed, tensor ordinal, index in the tensor), so
// every layout draws its own shard and all shards agree. No libm: a rational approximation of the
// inverse distribution function (Wichura's AS 241, relative error about 1e-16) over a logarithm
// made of IEEE additions, multiplications and divisions.
//
//   std::vector<float> shard(cols);
//   for (row ...) initialise_normal(seed, tensor, row * global_cols + first_col, shard, 0.02F);
//
// Threads: pure functions. Cost: about 20 ns per element. Failure: Error(exact.setting).
#pragma once

#include <cstdint>
#include <span>

namespace concordat::exact {

/// Quantile of the standard normal distribution at (word + 0.5) / 2^32; within +-6.4.
double normal_quantile(std::uint32_t word);

/// Natural logarithm of a positive normal double, within 1 ulp or so, IEEE operations only.
double exact_log(double x);

/// out[i] = float(stddev * deviate(seed, tensor, first + i)). `tensor` is the tensor's ordinal in
/// the model's declaration, `first` the row-major index inside the global tensor.
void initialise_normal(std::uint64_t seed, std::uint32_t tensor, std::uint64_t first,
                       std::span<float> out, float stddev);

/// out[i] uniform in [-bound, bound), same coordinates.
void initialise_uniform(std::uint64_t seed, std::uint32_t tensor, std::uint64_t first,
                        std::span<float> out, float bound);

}  // namespace concordat::exact
