// fill, copy (and cast), add, scale_by, sum: the ops without structure.
//
//   fill(exec, rate, 1e-3);                    // 0-d: Tensor of shape {}
//   copy(exec, compute_bf16, master_f32);      // casts, round to nearest even
//   add(exec, x, x, residual);                 // x += residual
//   scale_by(exec, gradient, factor);          // factor: 0-d
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// Every element of `out` (any strides, any dtype) becomes `value`.
void fill(Exec& exec, const Tensor& out, double value);

/// out = in, with a cast between f32, bf16, f16 and f64; other dtypes only to themselves. Any
/// strides on both sides, so copy also transposes and gathers. @pre equal shapes.
void copy(Exec& exec, const Tensor& out, const Tensor& in);

/// out = a + b, f32, equal shapes. In place allowed.
void add(Exec& exec, const Tensor& out, const Tensor& a, const Tensor& b);

/// inout *= factor, f32. factor: 0-d f32.
void scale_by(Exec& exec, const Tensor& inout, const Tensor& factor);

/// out (0-d, f32 or f64) = sum of `in` (contiguous f32), added up in f64 in an order that depends
/// only on the element count. With Write::accumulate the sum is added to `out`.
void sum(Exec& exec, const Tensor& out, const Tensor& in, Write write = Write::set);

/// out (0-d f64) = in[0] + in[1] + ... in this order. in: [n] f64, contiguous.
void sum_in_order(Exec& exec, const Tensor& out, const Tensor& in);

}  // namespace concordat::device
