// AdamW over flat spans, and what gradient clipping needs. Nothing here reads a value on the host.
//
//   sum_squares_by_block(exec, by_block, gradient, 16384);   // then all-reduce over the mesh
//   sum_in_order(exec, squares, by_block);
//   clip_factor(exec, clip, found_inf, squares, 1.0F);
//   adamw(exec, {master, m, v, compute}, gradient, scalars, {.weight_decay = 0.1F});
//   weight.bump();
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// out (0-d, f32 or f64) = sum of in^2 (contiguous f32), in f64 and in an order that depends only
/// on the element count. With Write::accumulate the sum is added to `out`.
void sum_squares(Exec& exec, const Tensor& out, const Tensor& in, Write write = Write::set);

/// out[i] = sum of in^2 over the elements [i * block, (i + 1) * block) of `in` (contiguous f32),
/// the last block shorter: in f64, and each in an order that depends only on its length, not on
/// where it lies or who sums what. out: [ceil(n / block)] f64, contiguous. @pre block > 0.
void sum_squares_by_block(Exec& exec, const Tensor& out, const Tensor& in, std::int64_t block);

/// factor (0-d f32) = min(1, max_norm / sqrt(squares)), 1 where max_norm is 0 (no clipping);
/// found_inf (0-d f32) = 1 if squares is not finite, else 0 (then factor is 0).
/// squares: 0-d f32 or f64.
void clip_factor(Exec& exec, const Tensor& factor, const Tensor& found_inf, const Tensor& squares,
                 float max_norm);

struct AdamwState {
  Tensor master;  ///< f32
  Tensor m, v;    ///< f32
  Tensor
      compute;  ///< the copy that products read: f32, bf16 or f16; empty: the master itself is used
};

/// 0-d f32 tensors.
struct AdamwScalars {
  Tensor rate;
  Tensor correction1;  ///< 1 - beta1^step
  Tensor correction2;  ///< 1 - beta2^step
  Tensor clip;         ///< the gradient is multiplied by it
  Tensor found_inf;    ///< not 0: nothing is changed
};

struct AdamwSettings {
  float beta1 = 0.9F;
  float beta2 = 0.95F;
  float eps = 1e-8F;
  float weight_decay = 0.0F;  ///< decoupled: master -= rate * weight_decay * master
};

/// PyTorch's AdamW, element by element: the decay first, then
/// master -= rate / correction1 * m / (sqrt(v / correction2) + eps). All contiguous, equal counts.
void adamw(Exec& exec, const AdamwState& state, const Tensor& gradient, const AdamwScalars& scalars,
           const AdamwSettings& settings);

}  // namespace concordat::device
