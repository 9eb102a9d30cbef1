// The quantiser `rms-1` (docs/formats/quantiser.md): fp32 updates to code points and back.
//
//   code = clamp(stochastic_round((w / w_cap) * (u + e) / scale), -2^(q-1), 2^(q-1) - 1) + 2^(q-1)
//   e'   = (u + e) - (code - 2^(q-1)) * scale * w_cap / w          what was lost stays at the site
//   d    = scale * w_cap * (sum - |S| * 2^(q-1)) / W               after the sum over survivors S
//
// One call handles one span, because a span has one scale.
//
//   Quantiser q{.bits = 8, .lane = Lane::u16};
//   quantise(q, {.tokens = 5000, .cap = 8192}, scale, update, e_old, random, canonical_begin,
//            codes, e_new);
//   dequantise(q, scale, {.survivors = 3, .cap = 8192, .total = 15000}, sums, d);
//
// Threads: pure functions. Failure: Error(exact.not_finite | exact.weight | exact.setting).
// Cost: one pass over memory, above 1 GB/s of update per core with SSE2 alone.
#pragma once

#include <cstdint>
#include <span>

#include "concordat/exact/lanes.hpp"

namespace concordat::exact {

struct Quantiser {
  int bits = 8;
  Lane lane = Lane::u16;
  /// Code point of zero.
  std::int32_t offset() const { return std::int32_t{1} << (bits - 1); }
};

/// Tokens of one site in the round, and the cap of the agreement.
struct SiteWeight {
  std::uint32_t tokens = 0;
  std::uint32_t cap = 1;
};

/// @throws Error(exact.weight) if tokens > cap or cap is 0.
void check_weight(SiteWeight weight);
/// @throws Error(exact.weight) unless num_sites * cap < 2^32.
void check_weight_cap(std::uint32_t num_sites, std::uint32_t cap);

/// Quantises one span into `codes` (lanes of q.lane) and writes the new error feedback.
/// `error_out` may be `error_in`; either may be empty: no feedback is added, or none is kept.
/// `random` has one uniform word per element, from the site's rounding keystream. A weight of 0
/// gives the code of zero everywhere and leaves u + e in `error_out`.
/// @pre equal lengths; codes has lane_bytes per element; 0 < scale < infinity.
/// @throws Error(exact.not_finite) naming the canonical index `first_index + i` of the first
/// element whose u + e is not finite. Outputs are unspecified then.
void quantise(const Quantiser& q, SiteWeight weight, float scale, std::span<const float> update,
              std::span<const float> error_in, std::span<const std::uint32_t> random,
              std::uint64_t first_index, ByteSpan codes, std::span<float> error_out);

/// What the closing record says about a sum.
struct SumWeight {
  std::uint32_t survivors = 0;
  std::uint32_t cap = 1;
  std::uint64_t total = 0;  ///< W, the sum of the survivors' tokens
};

/// out[i] = float(double(sum_i - survivors * offset) * factor), factor = scale * cap / total.
/// @pre total > 0, sums in range. @throws Error(exact.weight) if total is 0 or above
/// survivors * cap.
void dequantise(const Quantiser& q, float scale, SumWeight weight, ByteView sums,
                std::span<float> out);

}  // namespace concordat::exact
