// The exchange's quantiser as an op: update, error feedback, codes and mask in one pass, with the
// bits of exact::make_update, exact::quantise and exact::add_lanes.
//
//   quantise_update(exec, {.codes = lanes, .error = {}, .not_finite = flag},
//                   {.base = phi, .theta = theta, .error = e, .random = words, .mask = lanes},
//                   {.quantiser = q, .weight = {.tokens = 5000, .cap = 8192}, .scale = scale});
//
// One call handles one span, because a span has one scale.
#pragma once

#include "concordat/device/exec.hpp"
#include "concordat/exact/quantiser.hpp"

namespace concordat::device {

struct QuantiseSettings {
  exact::Quantiser quantiser;
  exact::SiteWeight weight;
  float scale = 1.0F;
};

/// Flat, of one span, equal counts.
struct QuantiseInputs {
  Tensor base;    ///< f32: the shared model that the site started from
  Tensor theta;   ///< f32: its model after its inner steps; the update is base - theta
  Tensor error;   ///< f32; empty: no feedback is added
  Tensor random;  ///< u32: a word of the rounding keystream per element
  Tensor mask;    ///< of the lane's dtype: added modulo 2^lane; empty: none
};
struct QuantiseOutputs {
  Tensor codes;       ///< of the lane's dtype; may be the mask
  Tensor error;       ///< f32, may be the error that goes in; empty: none is kept
  Tensor not_finite;  ///< [1] i32: becomes 1 if an element of update + error is not finite, else it
                      ///< stays. The other outputs are unspecified then.
};

/// u8, u16 or u32.
Dtype lane_dtype(exact::Lane lane);

/// @pre a finite scale above 0; what exact::check_weight and exact::check_lane have passed.
void quantise_update(Exec& exec, const QuantiseOutputs& out, const QuantiseInputs& in,
                     const QuantiseSettings& settings);

/// Whether tensors of this back end lie elsewhere than the host's. Then an update is better made
/// into masked codes there, and comes to the host as these.
bool quantises_elsewhere(Exec& exec);

}  // namespace concordat::device
