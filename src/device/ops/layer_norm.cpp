#include "concordat/device/ops/layer_norm.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void layer_norm_forward(Exec& exec, const Tensor& y, const Tensor& statistics, const Tensor& x,
                        const Tensor& weight, const Tensor& bias, float eps) {
  ArenaScope scope(exec.arena);
  const NarrowOutput out(exec, y);
  const Dtype dtype = compute_dtype(exec, statistics);
  require_rows("x", x, y.dim(0), y.dim(1), dtype);
  require_rows("y", y, y.dim(0), y.dim(1), out.narrow() ? y.dtype() : dtype);
  require_flat("statistics", statistics, y.dim(0) * 2, dtype);
  require_vector("weight", weight, y.dim(1), dtype);
  require_vector("bias", bias, y.dim(1), dtype);
  launch(exec, &Kernels::layer_norm_forward, out.tensor(), statistics, x, weight, bias, eps);
  out.finish();
}

void layer_norm_backward_input(Exec& exec, const Tensor& grad_x, const Tensor& grad_y,
                               const Tensor& x, const Tensor& weight, const Tensor& statistics,
                               Write write) {
  const Dtype dtype = compute_dtype(exec, grad_x);
  for (const Tensor* t : {&grad_x, &grad_y, &x}) {
    require_rows("grad_x, grad_y, x", *t, grad_x.dim(0), grad_x.dim(1), dtype);
  }
  require_flat("statistics", statistics, x.dim(0) * 2, dtype);
  require_vector("weight", weight, grad_x.dim(1), dtype);
  launch(exec, &Kernels::layer_norm_backward_input, grad_x, grad_y, x, weight, statistics, write);
}

void layer_norm_backward_weight(Exec& exec, const Tensor& grad_weight, const Tensor& grad_bias,
                                const Tensor& grad_y, const Tensor& x, const Tensor& statistics) {
  const Dtype dtype = compute_dtype(exec, grad_weight);
  require_rows("x", x, grad_y.dim(0), grad_y.dim(1), dtype);
  require_rows("grad_y", grad_y, x.dim(0), grad_weight.size(), dtype);
  require_flat("statistics", statistics, x.dim(0) * 2, dtype);
  require_vector("grad_weight", grad_weight, x.dim(1), dtype);
  require_vector("grad_bias", grad_bias, x.dim(1), dtype);
  ArenaScope scope(exec.arena);
  Tensor scratch = take_scratch(
      exec, exec.backend.kernels(exec.stream).column_sums_scratch_bytes(x.dim(0), 2 * x.dim(1)));
  launch(exec, &Kernels::layer_norm_backward_weight, grad_weight, grad_bias, grad_y, x, statistics,
         scratch);
}

}  // namespace concordat::device
