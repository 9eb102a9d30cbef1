#include "concordat/device/ops/gelu.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void gelu_forward(Exec& exec, const Tensor& out, const Tensor& x) {
  const Dtype dtype = compute_dtype(exec, out);
  for (const Tensor* t : {&out, &x}) require_rows("out, x", *t, out.dim(0), out.dim(1), dtype);
  launch(exec, &Kernels::gelu_forward, out, x);
}

void gelu_backward(Exec& exec, const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) {
  const Dtype dtype = compute_dtype(exec, grad_x);
  for (const Tensor* t : {&grad_x, &grad_out, &x}) {
    require_rows("gelu_backward", *t, grad_x.dim(0), grad_x.dim(1), dtype);
  }
  launch(exec, &Kernels::gelu_backward, grad_x, grad_out, x);
}

}  // namespace concordat::device
