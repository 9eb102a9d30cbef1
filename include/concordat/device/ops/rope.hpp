// Rotary position embedding, Hugging Face's half-split pairing: element i of a head turns with
// element i + head_dim / 2 by the angle position * base^(-2i / head_dim).
//
//   rope(exec, q, q, positions, {.head_dim = 32, .base = 10000.0});
//   rope(exec, grad_q, grad_q, positions, {.head_dim = 32, .base = 10000.0, .inverse = true});
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

struct RopeOptions {
  std::int64_t head_dim = 0;  ///< even
  double base = 10000.0;
  bool inverse = false;  ///< turns back: the backward pass
};

/// out, x: [T, heads * head_dim] f32, row-strided views allowed, in place allowed.
/// positions: [T] i32, not negative. Angles are made in f64.
void rope(Exec& exec, const Tensor& out, const Tensor& x, const Tensor& positions,
          const RopeOptions& options);

}  // namespace concordat::device
