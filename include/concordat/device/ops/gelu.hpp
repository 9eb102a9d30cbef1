// GELU in its tanh form (Hendrycks and Gimpel, 2016): x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715
// x^3))), "gelu_new" in Hugging Face's configurations.
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// All [T, F] f32; row-strided views allowed. In place allowed. Outputs of both ops may be bf16 or
/// f16: the f32 results rounded; so may
/// what the activation is of.
void gelu_forward(Exec& exec, const Tensor& out, const Tensor& x);

/// grad_x is set. In place allowed: grad_x over x or over grad_out.
void gelu_backward(Exec& exec, const Tensor& grad_x, const Tensor& grad_out, const Tensor& x);

}  // namespace concordat::device
