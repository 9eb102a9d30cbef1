#include <bit>
#include <cstdint>

#include "concordat/exact/normal.hpp"

namespace concordat::exact {

// x = 2^k * m with m in [sqrt(1/2), sqrt(2)); log x = k log 2 + 2 atanh(s), s = (m - 1) / (m + 1).
// |s| <= 0.1716, so the odd series to s^23 is below 1e-18 relative to s.
double exact_log(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52U) - 1023;
  double mantissa =
      std::bit_cast<double>((bits & 0x000F'FFFF'FFFF'FFFFULL) | 0x3FF0'0000'0000'0000ULL);
  if (mantissa > 1.4142135623730951) {
    mantissa = mantissa * 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  const double s2 = s * s;
  double series = 1.0 / 23.0;
  for (int odd = 21; odd >= 3; odd -= 2) series = series * s2 + 1.0 / odd;
  const double log_mantissa = 2.0 * s + 2.0 * s * (s2 * series);
  // log 2 in two parts: the first has trailing zeros, so exponent * high is exact.
  constexpr double log2_high = 6.93147180369123816490e-01;
  constexpr double log2_low = 1.90821492927058770002e-10;
  const double k = exponent;
  return k * log2_high + (log_mantissa + k * log2_low);
}

}  // namespace concordat::exact
