// Matrix products: c = alpha * op(a) * op(b) + beta * c, then the epilogue. fp32 accumulation.
//
//   matmul(exec, y, x, weight, {.transpose_b = true});             // y = x W^T, W: [out, in]
//   matmul(exec, grad_x, grad_y, weight);                          // grad_x = grad_y W
//   matmul(exec, grad_w, grad_y, x, {.transpose_a = true, .beta = 1.0F});   // grad_w += grad_y^T x
//   matmul(exec, out, h, weight, {.transpose_b = true, .residual = x});     // out = h W^T + x
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

struct MatmulOptions {
  bool transpose_a = false;  ///< a is [K, M]
  bool transpose_b = false;  ///< b is [N, K]
  float alpha = 1.0F;
  float beta = 0.0F;  ///< 0: c is not read
  /// Epilogue: a [N] vector added to every row; empty: none.
  Tensor bias{};
  /// Epilogue: a [M, N] matrix added last; may not be c (use beta); empty: none.
  Tensor residual{};
};

/// c: [M, N] f32, or with beta = 0 bf16 or f16: the f32 result rounded. a: [M, K], b: [K, N] (or
/// transposed), f32, bf16 or f16. Row-strided views allowed.
void matmul(Exec& exec, const Tensor& c, const Tensor& a, const Tensor& b,
            const MatmulOptions& options = {});

/// The same with a weight as b. The back end may keep a packed copy of it for this version;
/// a write to the weight without Parameter::bump() gives products with the old values.
void matmul(Exec& exec, const Tensor& c, const Tensor& a, const Parameter& b,
            const MatmulOptions& options = {});

}  // namespace concordat::device
