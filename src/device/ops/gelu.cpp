#include "concordat/device/ops/gelu.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void gelu_forward(Exec& exec, const Tensor& out, const Tensor& x) {
  ArenaScope scope(exec.arena);
  const NarrowOutput to(exec, out);
  const Tensor z = wide_input(exec, x, to.reads(x));
  const Dtype dtype = to.narrow() ? Dtype::f32 : compute_dtype(exec, out);
  require_rows("x", x, out.dim(0), out.dim(1), is_narrow(x) ? x.dtype() : dtype);
  require_rows("out", out, out.dim(0), out.dim(1), to.narrow() ? out.dtype() : dtype);
  launch(exec, &Kernels::gelu_forward, to.tensor(), z);
  to.finish();
}

void gelu_backward(Exec& exec, const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) {
  ArenaScope scope(exec.arena);
  const NarrowOutput to(exec, grad_x);
  const Tensor z = wide_input(exec, x, to.reads(x));
  const Dtype dtype = compute_dtype(exec, grad_out);
  require_rows("grad_out", grad_out, grad_x.dim(0), grad_x.dim(1), dtype);
  require_rows("x", x, grad_x.dim(0), grad_x.dim(1), is_narrow(x) ? x.dtype() : dtype);
  require_rows("grad_x", grad_x, grad_x.dim(0), grad_x.dim(1),
               to.narrow() ? grad_x.dtype() : dtype);
  launch(exec, &Kernels::gelu_backward, to.tensor(), grad_out, z);
  to.finish();
}

}  // namespace concordat::device
