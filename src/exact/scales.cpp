#include "concordat/exact/scales.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/float_environment.hpp"
#include "exact/wide_integer.hpp"

namespace concordat::exact {

namespace {

void require_setting(bool right, const char* name, const char* where, double found,
                     const char* expected) {
  if (right) return;
  throw Error(errors::setting, {.what = std::string("the scale rule's ") + name + " is wrong",
                                .where = where,
                                .found = std::to_string(found),
                                .expected = expected,
                                .remedy = std::string("correct ") + where});
}

U128 wide(SquareSum value) { return (static_cast<U128>(value.high) << 64U) | value.low; }

std::uint64_t root_of(U128 value) {
  // Digit by digit, two bits of the radicand per bit of the root: no floating point.
  U128 rest = value, root = 0;
  U128 bit = static_cast<U128>(1) << 126U;
  while (bit > rest) bit >>= 2U;
  for (; bit != 0; bit >>= 2U) {
    const bool take = rest >= root + bit;
    if (take) rest -= root + bit;
    root >>= 1U;
    if (take) root += bit;
  }
  return static_cast<std::uint64_t>(root);
}

}  // namespace

void check_rule(const ScaleRule& rule) {
  const auto positive = [](double x) { return std::isfinite(x) && x > 0.0; };
  require_setting(positive(rule.first_multiple), "first multiple", "exchange.first_multiple",
                  rule.first_multiple, "finite and above 0");
  require_setting(positive(rule.summed_rates), "sum of learning rates", "inner.rate",
                  rule.summed_rates, "finite and above 0");
  require_setting(positive(rule.spread) && rule.spread <= 64.0, "spread", "exchange.spread",
                  rule.spread, "above 0, at most 64");
  // Below the least normal number a factor 2 is no longer exact.
  require_setting(std::isfinite(rule.floor) && rule.floor >= 0x1p-120F, "floor",
                  "exchange.scale_floor", rule.floor, "at least 2^-120");
  require_setting(std::isfinite(rule.cap) && rule.cap >= rule.floor && rule.cap <= 0x1p100F, "cap",
                  "exchange.scale_cap", rule.cap, "at least the floor, at most 2^100");
}

float first_scale(const ScaleRule& rule, int bits) {
  const StrictFloats strict;
  const double half_range = static_cast<double>(std::int64_t{1} << (bits - 1));
  const double scale = rule.first_multiple * rule.summed_rates / half_range;
  // Clamped as a double: the conversion of what is left cannot overflow.
  return static_cast<float>(
      std::clamp(scale, static_cast<double>(rule.floor), static_cast<double>(rule.cap)));
}

float next_scale(const ScaleRule& rule, const Quantiser& q, int next_bits, float scale,
                 std::uint32_t survivors, SquareSum squares, std::uint64_t count) {
  CONCORDAT_REQUIRE(count > 0 && survivors > 0 && scale > 0.0F,
                    std::to_string(count) + " elements, " + std::to_string(survivors) +
                        " survivors, scale " + std::to_string(scale));
  const StrictFloats strict;
  // squares < 2^64 * 2^47 for any span of a block, so the shift by 16 keeps every bit.
  const U128 mean = (wide(squares) << 16U) / (static_cast<U128>(count) * survivors);
  const double root = static_cast<double>(root_of(mean));
  const auto next_half = static_cast<double>(std::int64_t{1} << (next_bits - 1));
  const double wanted = static_cast<double>(scale) * root * rule.spread / (256.0 * next_half);
  // A power of two: exact. The scale of this round as the next round's bits would have it.
  const double same_range =
      static_cast<double>(scale) * (static_cast<double>(q.offset()) / next_half);
  const double held = std::clamp(wanted, same_range * 0.5, same_range * 2.0);
  return static_cast<float>(
      std::clamp(held, static_cast<double>(rule.floor), static_cast<double>(rule.cap)));
}

std::uint64_t integer_sqrt(SquareSum value) { return root_of(wide(value)); }

}  // namespace concordat::exact
