// Public scales: the width of one code point, one per span, the same at every site by arithmetic.
//
// Round 0 takes a multiple of the summed inner learning rates from the agreement. Later a scale
// follows the root mean square of the centred sums, computed in integers, so that `spread` standard
// deviations of one site's update fit half the code range (updates of different sites taken as
// orthogonal); it changes at most 2x a round and stays within floor and cap.
//
//   float s = first_scale(rule, bits);
//   s = next_scale(rule, q, q.bits, s, survivors, sum_of_squares(q, survivors, sums), count);
//
// Threads: pure functions.
#pragma once

#include <cstdint>

#include "concordat/exact/quantiser.hpp"

namespace concordat::exact {

/// Settings of `rms-1`, in the agreement as exact bits.
struct ScaleRule {
  double first_multiple = 1.0;  ///< of summed_rates: half the code range in round 0
  double summed_rates = 0.0;    ///< sum of the inner learning rates of a round
  double spread = 6.0;          ///< standard deviations that fit half the code range
  float floor = 1e-12F;         ///< least scale
  float cap = 1e+3F;            ///< greatest scale
  bool operator==(const ScaleRule&) const = default;
};

/// @throws Error(exact.setting) naming the setting that is not finite, not positive or not ordered.
void check_rule(const ScaleRule& rule);

/// float(first_multiple * summed_rates / 2^(bits-1)), within floor and cap.
float first_scale(const ScaleRule& rule, int bits);

/// 128 bits, because 2^20 squares of 32-bit sums exceed 64.
struct SquareSum {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const SquareSum&) const = default;
};

/// Sum of (sum_i - survivors * offset)^2 over a span.
SquareSum sum_of_squares(const Quantiser& q, std::uint32_t survivors, ByteView sums);

/// The scale of the next round, whose quantiser has `next_bits`:
///   r = isqrt(squares * 2^16 / (count * survivors))    8 fractional bits of one site's RMS in
///   steps scale' = scale * r * spread / (256 * 2^(next_bits-1))
/// held to [half, twice] of scale * 2^(q.bits - next_bits), which keeps the range that the codes
/// span within a factor of two, then to [floor, cap]. @pre count > 0, survivors > 0.
float next_scale(const ScaleRule& rule, const Quantiser& q, int next_bits, float scale,
                 std::uint32_t survivors, SquareSum squares, std::uint64_t count);

/// floor(sqrt(high * 2^64 + low)), exact.
std::uint64_t integer_sqrt(SquareSum value);

}  // namespace concordat::exact
