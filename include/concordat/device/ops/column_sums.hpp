// Column sums: the gradient of a bias, which is added to every row.
//
//   add_column_sums(exec, bias.gradient, grad_y);
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// out: [C] f32 is added to, in an order that depends on the shape alone. in: [T, C] f32, bf16 or
/// f16, row-strided; sums are in f32.
void add_column_sums(Exec& exec, const Tensor& out, const Tensor& in);

}  // namespace concordat::device
