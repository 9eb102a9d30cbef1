#include "concordat/device/ops/swiglu.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void swiglu_forward(Exec& exec, const Tensor& out, const Tensor& gate, const Tensor& up) {
  Dtype dtype = compute_dtype(exec, out);
  for (const Tensor* t : {&out, &gate, &up}) {
    require_rows("out, gate, up", *t, out.dim(0), out.dim(1), dtype);
  }
  launch(exec, &Kernels::swiglu_forward, out, gate, up);
}

void swiglu_backward(Exec& exec, const Tensor& grad_gate, const Tensor& grad_up,
                     const Tensor& grad_out, const Tensor& gate, const Tensor& up) {
  Dtype dtype = compute_dtype(exec, grad_gate);
  for (const Tensor* t : {&grad_gate, &grad_up, &grad_out, &gate, &up}) {
    require_rows("swiglu_backward", *t, grad_gate.dim(0), grad_gate.dim(1), dtype);
  }
  launch(exec, &Kernels::swiglu_backward, grad_gate, grad_up, grad_out, gate, up);
}

}  // namespace concordat::device
