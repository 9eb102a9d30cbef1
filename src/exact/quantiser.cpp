#include "concordat/exact/quantiser.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/float_environment.hpp"
#include "exact/lane_access.hpp"

namespace concordat::exact {

namespace {

/// Elements per piece: the three scratch arrays stay in the first-level cache.
constexpr std::size_t piece = 1024;

struct Factors {
  float to_steps;    ///< w / (w_cap * scale)
  float from_steps;  ///< scale * w_cap / w
  float low;         ///< least code, centred
  float high;        ///< greatest code, centred
};

[[noreturn]] void throw_not_finite(const float* v, std::size_t count, std::uint64_t first_index) {
  std::size_t i = 0;
  while (i + 1 < count && std::isfinite(v[i])) ++i;
  throw Error(errors::not_finite, {.what = "an update is not finite",
                                   .where = "canonical index " + std::to_string(first_index + i),
                                   .found = std::isnan(v[i]) ? "NaN" : "infinity",
                                   .expected = "a finite number",
                                   .remedy = "resume from the newest generation with a lower "
                                             "learning rate or a tighter clip"});
}

/// v = u + e; returns the bitwise "or" of a flag that is 1 for every value that is not finite.
std::uint32_t add_feedback(const float* __restrict u, const float* __restrict e,
                           float* __restrict v, std::size_t count) {
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float sum = e != nullptr ? u[i] + e[i] : u[i];
    v[i] = sum;
    // All exponent bits set means NaN or infinity; adding one exponent unit then carries into
    // bit 31.
    bad |= (std::bit_cast<std::uint32_t>(sum) & 0x7FFF'FFFFU) + 0x0080'0000U;
  }
  return bad >> 31U;
}

/// Centred codes: floor(y) + (fraction(y) > random), y clamped to the code range first.
void round_codes(const float* __restrict v, const std::uint8_t* __restrict random, Factors f,
                 std::int32_t* __restrict codes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float y = std::min(std::max(v[i] * f.to_steps, f.low), f.high);
    const auto toward_zero = static_cast<std::int32_t>(y);
    const std::int32_t floor_y =
        toward_zero - static_cast<std::int32_t>(static_cast<float>(toward_zero) > y);
    const float fraction = y - static_cast<float>(floor_y);
    // 24 random bits are a float exactly; a fraction of 0 never rounds up.
    const auto word = static_cast<std::int32_t>(load<std::uint32_t>(random, i) >> 8U);
    const float threshold = static_cast<float>(word) * 0x1p-24F;
    codes[i] = floor_y + static_cast<std::int32_t>(fraction > threshold);
  }
}

template <typename T>
void store_codes(const std::int32_t* __restrict codes, std::int32_t offset,
                 std::uint8_t* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) store<T>(out, i, static_cast<T>(codes[i] + offset));
}

void keep_error(const float* __restrict v, const std::int32_t* __restrict codes, float from_steps,
                float* __restrict error, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    error[i] = v[i] - static_cast<float>(codes[i]) * from_steps;
  }
}

}  // namespace

void check_weight(SiteWeight weight) {
  if (weight.cap > 0 && weight.tokens <= weight.cap) return;
  throw Error(errors::weight, {.what = "the tokens of the round exceed the weight cap",
                               .where = "exchange.weight_cap",
                               .found = std::to_string(weight.tokens) + " tokens",
                               .expected = "at most " + std::to_string(weight.cap),
                               .remedy = "agree on a larger weight cap or train fewer tokens"});
}

void check_weight_cap(std::uint32_t num_sites, std::uint32_t cap) {
  const std::uint64_t sum = std::uint64_t{num_sites} * cap;
  if (cap > 0 && sum < (std::uint64_t{1} << 32U)) return;
  throw Error(errors::weight, {.what = "the sum of the weights could wrap 32 bits",
                               .where = "exchange.weight_cap",
                               .found = std::to_string(num_sites) + " sites * cap " +
                                        std::to_string(cap) + " = " + std::to_string(sum),
                               .expected = "a cap above 0 and a product below 2^32 = 4294967296",
                               .remedy = "lower the weight cap"});
}

void quantise(const Quantiser& q, SiteWeight weight, float scale, std::span<const float> update,
              std::span<const float> error_in, std::span<const std::uint32_t> random,
              std::uint64_t first_index, ByteSpan codes, std::span<float> error_out) {
  const std::size_t count = update.size();
  CONCORDAT_REQUIRE(
      random.size() == count && codes.size() == count * lane_bytes(q.lane) &&
          (error_in.empty() || error_in.size() == count) &&
          (error_out.empty() || error_out.size() == count),
      std::to_string(count) + " elements, " + std::to_string(codes.size()) + " bytes");
  CONCORDAT_REQUIRE(std::isfinite(scale) && scale > 0.0F, std::to_string(scale));
  check_weight(weight);
  check_lane(1, q.bits, q.lane);
  const StrictFloats strict;
  const std::int32_t offset = q.offset();
  const double tokens = weight.tokens, cap = weight.cap, width = scale;
  const Factors f{.to_steps = static_cast<float>(tokens / (cap * width)),
                  .from_steps = tokens > 0.0 ? static_cast<float>(width * cap / tokens) : 0.0F,
                  .low = static_cast<float>(-offset),
                  .high = static_cast<float>(offset - 1)};
  std::array<float, piece> v;
  std::array<std::int32_t, piece> centred;
  for (std::size_t begin = 0; begin < count; begin += piece) {
    const std::size_t n = std::min(piece, count - begin);
    const float* e = error_in.empty() ? nullptr : error_in.data() + begin;
    if (add_feedback(update.data() + begin, e, v.data(), n) != 0) {
      throw_not_finite(v.data(), n, first_index + begin);
    }
    if (weight.tokens == 0) {
      std::fill_n(centred.begin(), n, 0);
    } else {
      round_codes(v.data(), reinterpret_cast<const std::uint8_t*>(random.data() + begin), f,
                  centred.data(), n);
    }
    with_lane(q.lane, [&]<typename T>() {
      store_codes<T>(centred.data(), offset, codes.data() + begin * sizeof(T), n);
    });
    if (!error_out.empty()) {
      keep_error(v.data(), centred.data(), f.from_steps, error_out.data() + begin, n);
    }
  }
}

}  // namespace concordat::exact
