#include "concordat/device/ops/rms_norm.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void rms_norm_forward(Exec& exec, const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                      const Tensor& weight, float eps) {
  ArenaScope scope(exec.arena);
  const NarrowOutput out(exec, y);
  Dtype dtype = compute_dtype(exec, inv_rms);
  require_rows("x", x, y.dim(0), y.dim(1), dtype);
  require_rows("y", y, y.dim(0), y.dim(1), out.narrow() ? y.dtype() : dtype);
  require_vector("inv_rms", inv_rms, y.dim(0), dtype);
  require_vector("weight", weight, y.dim(1), dtype);
  launch(exec, &Kernels::rms_norm_forward, out.tensor(), inv_rms, x, weight, eps);
  out.finish();
}

void rms_norm_backward_input(Exec& exec, const Tensor& grad_x, const Tensor& grad_y,
                             const Tensor& x, const Tensor& weight, const Tensor& inv_rms,
                             Write write) {
  Dtype dtype = compute_dtype(exec, grad_x);
  for (const Tensor* t : {&grad_x, &grad_y, &x}) {
    require_rows("grad_x, grad_y, x", *t, grad_x.dim(0), grad_x.dim(1), dtype);
  }
  require_vector("inv_rms", inv_rms, grad_x.dim(0), dtype);
  require_vector("weight", weight, grad_x.dim(1), dtype);
  launch(exec, &Kernels::rms_norm_backward_input, grad_x, grad_y, x, weight, inv_rms, write);
}

void rms_norm_backward_weight(Exec& exec, const Tensor& grad_weight, const Tensor& grad_y,
                              const Tensor& x, const Tensor& inv_rms) {
  Dtype dtype = compute_dtype(exec, grad_weight);
  require_rows("x", x, grad_y.dim(0), grad_y.dim(1), dtype);
  require_rows("grad_y", grad_y, x.dim(0), grad_weight.size(), dtype);
  require_vector("inv_rms", inv_rms, x.dim(0), dtype);
  require_vector("grad_weight", grad_weight, x.dim(1), dtype);
  ArenaScope scope(exec.arena);
  Tensor scratch = take_scratch(
      exec, exec.backend.kernels(exec.stream).rms_norm_scratch_bytes(x.dim(0), x.dim(1)));
  launch(exec, &Kernels::rms_norm_backward_weight, grad_weight, grad_y, x, inv_rms, scratch);
}

}  // namespace concordat::device
