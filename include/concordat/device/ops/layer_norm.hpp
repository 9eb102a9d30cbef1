// LayerNorm: y = (x - mean) / sqrt(variance + eps) * weight + bias, row by row; the variance is the
// biased one.
//
//   layer_norm_forward(exec, y, statistics, x, weight, bias, 1e-5F);
//   layer_norm_backward_input(exec, grad_x, grad_y, x, weight, statistics);
//   layer_norm_backward_weight(exec, grad_weight, grad_bias, grad_y, x, statistics);
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// y, x: [T, C]; statistics: [T, 2], mean and 1 / standard deviation of each row, kept for the
/// backward; weight, bias: [C]. f32; y may be bf16 or f16, the f32 result rounded.
void layer_norm_forward(Exec& exec, const Tensor& y, const Tensor& statistics, const Tensor& x,
                        const Tensor& weight, const Tensor& bias, float eps);

/// grad_x: [T, C] is set or added to. In place with grad_y allowed when it is set.
void layer_norm_backward_input(Exec& exec, const Tensor& grad_x, const Tensor& grad_y,
                               const Tensor& x, const Tensor& weight, const Tensor& statistics,
                               Write write = Write::set);

/// grad_weight, grad_bias: [C] are added to, in an order that depends on the shape alone.
void layer_norm_backward_weight(Exec& exec, const Tensor& grad_weight, const Tensor& grad_bias,
                                const Tensor& grad_y, const Tensor& x, const Tensor& statistics);

}  // namespace concordat::device
