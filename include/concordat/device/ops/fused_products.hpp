// Products together with what comes right before or behind them. Each is defined by the ops that it
// stands for; a back end that can (cuBLASLt's epilogues) does it in one pass, with the same values
// up to a rounding.
//
//   matmul_gelu(exec, x, activation, input, weight, {.transpose_b = true, .bias = bias});
//   matmul_gelu_backward(exec, grad_x, work, grad_y, weight, x);
//   matmul_row_sums(exec, grad_weight, grad_bias, grad_y, input, {.transpose_a = true});
#pragma once

#include "concordat/device/ops/matmul.hpp"

namespace concordat::device {

/// matmul(x, a, b, options), then gelu_forward(activation, x). Fused where both have one format; a
/// bias may then be rounded to it, as the operands are. @pre beta is 0 and there is no residual.
void matmul_gelu(Exec& exec, const Tensor& x, const Tensor& activation, const Tensor& a,
                 const Parameter& b, const MatmulOptions& options);

/// matmul(work, a, b), then gelu_backward(grad_x, work, x). `work` [M, N] f32 is undefined after
/// it; it may be grad_x where that is f32. Fused where grad_x and x have one format.
void matmul_gelu_backward(Exec& exec, const Tensor& grad_x, const Tensor& work, const Tensor& a,
                          const Parameter& b, const Tensor& x);

/// matmul(c, a, b, options), and add_column_sums(sums, a): a weight's gradient and its bias's.
/// sums: [M] f32. @pre transpose_a.
void matmul_row_sums(Exec& exec, const Tensor& c, const Tensor& sums, const Tensor& a,
                     const Tensor& b, const MatmulOptions& options);

}  // namespace concordat::device
