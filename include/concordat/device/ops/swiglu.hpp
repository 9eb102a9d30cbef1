// SwiGLU: out = silu(gate) * up, silu(z) = z / (1 + exp(-z)).
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// All [T, F] f32; row-strided views allowed (gate and up may be columns of one product). Outputs
/// of both ops may be bf16 or f16: the f32 results rounded; so may
/// what the activation is of.
void swiglu_forward(Exec& exec, const Tensor& out, const Tensor& gate, const Tensor& up);

/// In place allowed: grad_gate over gate and grad_up over up.
void swiglu_backward(Exec& exec, const Tensor& grad_gate, const Tensor& grad_up,
                     const Tensor& grad_out, const Tensor& gate, const Tensor& up);

}  // namespace concordat::device
