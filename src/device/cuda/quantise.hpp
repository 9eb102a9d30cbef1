// `exact`'s quantiser on the device: error feedback, codes and mask in one pass, with the bits of
// exact::quantise followed by exact::add_lanes.
//
//   quantise_and_mask(stream, q, {.tokens = 5000, .cap = 8192}, scale,
//                     {.update = u, .error_in = e, .random = words, .mask = keystream},
//                     {.codes = codes, .error = e, .not_finite = flag});
//
// Bytes moved per element: 16 and twice the lane's.
#pragma once

#include <cuda_runtime.h>

#include "concordat/core/tensor.hpp"
#include "concordat/exact/quantiser.hpp"

namespace concordat::device::cuda {

/// Flat, of one span, equal counts.
struct QuantiseInputs {
  Tensor update;    ///< f32
  Tensor error_in;  ///< f32; empty: no feedback is added
  Tensor random;    ///< u32: a word of the rounding keystream per element
  Tensor mask;      ///< of the lane's dtype: added modulo 2^lane; empty: none
};
struct QuantiseOutputs {
  Tensor codes;       ///< u8, u16 or u32: the lane
  Tensor error;       ///< f32, may be error_in; empty: none is kept
  Tensor not_finite;  ///< 0-d i32: becomes 1 if an element of update + error is not finite, else it
                      ///< stays. The outputs are unspecified then.
};

/// @pre a finite scale above 0; what exact::check_weight and exact::check_lane have passed.
void quantise_and_mask(cudaStream_t stream, const exact::Quantiser& q, exact::SiteWeight weight,
                       float scale, const QuantiseInputs& in, const QuantiseOutputs& out);

}  // namespace concordat::device::cuda
