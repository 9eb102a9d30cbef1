#include "concordat/device/ops/fused_products.hpp"

#include "concordat/device/ops/column_sums.hpp"
#include "concordat/device/ops/gelu.hpp"
#include "device/launch.hpp"

namespace concordat::device {
namespace {

/// Whether the back end did it. Shapes are those of the ops that it stands for; what does not fit
/// is left to their checks.
bool fused(Exec& exec, Fusion fusion, const Tensor& c, const Tensor& with, const Tensor& a,
           const Tensor& b, const MatmulOptions& options) {
  for (const Tensor* each : {&c, &a, &b}) {
    if (!is_rows(*each) || each->size() == 0) return false;
  }
  const std::int64_t m = a.dim(options.transpose_a ? 1 : 0);
  const std::int64_t k = a.dim(options.transpose_a ? 0 : 1);
  const std::int64_t n = b.dim(options.transpose_b ? 0 : 1);
  if (b.dim(options.transpose_b ? 1 : 0) != k || c.dim(0) != m || c.dim(1) != n) return false;
  ArenaScope scope(exec.arena);
  const auto bytes =
      exec.backend.kernels(exec.stream).fused_scratch_bytes(fusion, c, with, a, b, options);
  if (!bytes) return false;
  const Tensor scratch = take_scratch(exec, *bytes);
  launch(exec, &Kernels::matmul_fused, fusion, c, with, a, b, options, scratch);
  return true;
}

}  // namespace

void matmul_gelu(Exec& exec, const Tensor& x, const Tensor& activation, const Tensor& a,
                 const Parameter& b, const MatmulOptions& options) {
  CONCORDAT_REQUIRE(options.beta == 0.0F && options.residual.empty(), "gelu behind a sum");
  require_rows("activation", activation, x.dim(0), x.dim(1), activation.dtype());
  if (fused(exec, Fusion::gelu, x, activation, a, b.value(), options)) return;
  matmul(exec, x, a, b, options);
  gelu_forward(exec, activation, x);
}

void matmul_gelu_backward(Exec& exec, const Tensor& grad_x, const Tensor& work, const Tensor& a,
                          const Parameter& b, const Tensor& x) {
  require_rows("work", work, grad_x.dim(0), grad_x.dim(1), work.dtype());
  require_rows("x", x, grad_x.dim(0), grad_x.dim(1), x.dtype());
  if (fused(exec, Fusion::gelu_backward, grad_x, x, a, b.value(), {})) return;
  matmul(exec, work, a, b);
  gelu_backward(exec, grad_x, work, x);
}

void matmul_row_sums(Exec& exec, const Tensor& c, const Tensor& sums, const Tensor& a,
                     const Tensor& b, const MatmulOptions& options) {
  CONCORDAT_REQUIRE(options.transpose_a, "sums of rows that are no columns of a");
  require_vector("sums", sums, a.dim(1), sums.dtype());
  if (fused(exec, Fusion::row_sums, c, sums, a, b, options)) return;
  matmul(exec, c, a, b, options);
  add_column_sums(exec, sums, a);
}

}  // namespace concordat::device
