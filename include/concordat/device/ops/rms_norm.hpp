// RMSNorm: y = x / sqrt(mean(x^2) + eps) * weight, row by row.
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// y, x: [T, C]; inv_rms: [T], kept for the backward; weight: [C]. f32; y may be bf16 or f16, the
/// f32 result rounded.
void rms_norm_forward(Exec& exec, const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                      const Tensor& weight, float eps);

/// grad_x: [T, C] is set or added to. In place with grad_y allowed when it is set.
void rms_norm_backward_input(Exec& exec, const Tensor& grad_x, const Tensor& grad_y,
                             const Tensor& x, const Tensor& weight, const Tensor& inv_rms,
                             Write write = Write::set);

/// grad_weight: [C] is added to, in an order that depends on the shape and the threads alone.
void rms_norm_backward_weight(Exec& exec, const Tensor& grad_weight, const Tensor& grad_y,
                              const Tensor& x, const Tensor& inv_rms);

}  // namespace concordat::device
