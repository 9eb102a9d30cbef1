// What every site does with the sum: dequantise it, and measure it for the next scale.
#include <cmath>
#include <string>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/float_environment.hpp"
#include "concordat/exact/scales.hpp"
#include "exact/lane_access.hpp"

namespace concordat::exact {

namespace {

/// Sums are at most max_sites * (2^16 - 1) and centred by survivors * 2^(bits-1): the difference
/// fits 32 bits, so the subtraction in int64 and its double are the same number in narrow form.
template <typename T>
void centre_and_scale(const std::uint8_t* __restrict sums, std::int64_t centre, double factor,
                      float* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto c = static_cast<std::int32_t>(static_cast<std::int64_t>(load<T>(sums, i)) - centre);
    out[i] = static_cast<float>(static_cast<double>(c) * factor);
  }
}

/// Squares below 2^34 (8- and 16-bit lanes): 2^30 of them fit 64 bits.
template <typename T>
std::uint64_t narrow_squares(const std::uint8_t* sums, std::int64_t centre, std::size_t count) {
  std::uint64_t total = 0;
  const auto narrow_centre = static_cast<std::int32_t>(centre);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t c = static_cast<std::int32_t>(load<T>(sums, i)) - narrow_centre;
    const auto magnitude = static_cast<std::uint32_t>(c < 0 ? -c : c);
    total += std::uint64_t{magnitude} * magnitude;
  }
  return total;
}

SquareSum wide_squares(const std::uint8_t* sums, std::int64_t centre, std::size_t count) {
  SquareSum total;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t c = static_cast<std::int64_t>(load<std::uint32_t>(sums, i)) - centre;
    const auto magnitude = static_cast<std::uint64_t>(c < 0 ? -c : c);
    const std::uint64_t square = magnitude * magnitude;
    total.low += square;
    total.high += total.low < square ? 1 : 0;
  }
  return total;
}

std::int64_t centre_of(const Quantiser& q, std::uint32_t survivors) {
  return std::int64_t{survivors} * q.offset();
}

}  // namespace

void dequantise(const Quantiser& q, float scale, SumWeight weight, ByteView sums,
                std::span<float> out) {
  CONCORDAT_REQUIRE(sums.size() == out.size() * lane_bytes(q.lane),
                    std::to_string(sums.size()) + " bytes for " + std::to_string(out.size()));
  check_lane(weight.survivors, q.bits, q.lane);
  const std::uint64_t most = std::uint64_t{weight.survivors} * weight.cap;
  if (weight.total == 0 || weight.total > most) {
    throw Error(
        errors::weight,
        {.what = "the total weight of a round is impossible",
         .where = "the aggregate",
         .found = std::to_string(weight.total) + " tokens",
         .expected = "1 to " + std::to_string(most) + " (" + std::to_string(weight.survivors) +
                     " survivors * cap " + std::to_string(weight.cap) + ")",
         .remedy = "keep the run folder and ask the coordinator's operator: the sum was not formed "
                   "from this round's updates"});
  }
  const StrictFloats strict;
  const double factor = static_cast<double>(scale) * static_cast<double>(weight.cap) /
                        static_cast<double>(weight.total);
  with_lane(q.lane, [&]<typename T>() {
    centre_and_scale<T>(sums.data(), centre_of(q, weight.survivors), factor, out.data(),
                        out.size());
  });
}

SquareSum sum_of_squares(const Quantiser& q, std::uint32_t survivors, ByteView sums) {
  CONCORDAT_REQUIRE(sums.size() % lane_bytes(q.lane) == 0, std::to_string(sums.size()) + " bytes");
  check_lane(survivors, q.bits, q.lane);
  const std::int64_t centre = centre_of(q, survivors);
  const std::size_t count = sums.size() / lane_bytes(q.lane);
  switch (q.lane) {
    case Lane::u8:
      return {0, narrow_squares<std::uint8_t>(sums.data(), centre, count)};
    case Lane::u16:
      return {0, narrow_squares<std::uint16_t>(sums.data(), centre, count)};
    case Lane::u32:
      break;
  }
  return wide_squares(sums.data(), centre, count);
}

}  // namespace concordat::exact
