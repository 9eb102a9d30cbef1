#include "concordat/device/ops/swiglu.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void swiglu_forward(Exec& exec, const Tensor& out, const Tensor& gate, const Tensor& up) {
  ArenaScope scope(exec.arena);
  const NarrowOutput to(exec, out);
  CONCORDAT_REQUIRE(gate.dtype() == up.dtype(), describe("gate", gate) + ", " + describe("up", up));
  const Tensor z = wide_input(exec, gate, to.reads(gate));
  const Tensor u = wide_input(exec, up, to.reads(up));
  const Dtype dtype = to.narrow() ? Dtype::f32 : compute_dtype(exec, out);
  for (const Tensor* t : {&gate, &up}) {
    require_rows("gate, up", *t, out.dim(0), out.dim(1), is_narrow(*t) ? gate.dtype() : dtype);
  }
  require_rows("out", out, out.dim(0), out.dim(1), to.narrow() ? out.dtype() : dtype);
  launch(exec, &Kernels::swiglu_forward, to.tensor(), z, u);
  to.finish();
}

void swiglu_backward(Exec& exec, const Tensor& grad_gate, const Tensor& grad_up,
                     const Tensor& grad_out, const Tensor& gate, const Tensor& up) {
  ArenaScope scope(exec.arena);
  const NarrowOutput to_gate(exec, grad_gate);
  const NarrowOutput to_up(exec, grad_up);
  CONCORDAT_REQUIRE(gate.dtype() == up.dtype(), describe("gate", gate) + ", " + describe("up", up));
  const Tensor z = wide_input(exec, gate, to_gate.reads(gate));
  const Tensor u = wide_input(exec, up, to_up.reads(up));
  const Dtype dtype = compute_dtype(exec, grad_out);
  require_rows("grad_out", grad_out, grad_gate.dim(0), grad_gate.dim(1), dtype);
  for (const Tensor* t : {&gate, &up}) {
    require_rows("gate, up", *t, grad_gate.dim(0), grad_gate.dim(1),
                 is_narrow(*t) ? gate.dtype() : dtype);
  }
  for (const Tensor* t : {&grad_gate, &grad_up}) {
    require_rows("grad_gate, grad_up", *t, grad_gate.dim(0), grad_gate.dim(1),
                 to_gate.narrow() ? grad_gate.dtype() : dtype);
  }
  launch(exec, &Kernels::swiglu_backward, to_gate.tensor(), to_up.tensor(), grad_out, z, u);
  to_gate.finish();
  to_up.finish();
}

}  // namespace concordat::device
