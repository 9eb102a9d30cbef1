#include "concordat/device/ops/matmul.hpp"

#include "concordat/device/ops/elementwise.hpp"
#include "device/launch.hpp"

namespace concordat::device {
namespace {

// 16-bit operands become fp32 in scratch: without such arithmetic they are a storage format.
Tensor as_compute(Exec& exec, const Tensor& t, Dtype dtype) {
  if (t.dtype() == dtype) return t;
  CONCORDAT_REQUIRE(t.dtype() == Dtype::bf16 || t.dtype() == Dtype::f16, describe("matmul", t));
  Tensor wide = exec.arena.take(dtype, t.shape());
  copy(exec, wide, t);
  return wide;
}

void product(Exec& exec, const Tensor& c, const Tensor& a, const Tensor& b,
             const MatmulOptions& options, std::uint64_t weight_version) {
  const bool narrow = c.dtype() == Dtype::bf16 || c.dtype() == Dtype::f16;
  CONCORDAT_REQUIRE(!narrow || options.beta == 0.0F, "adding to " + describe("c", c));
  const Dtype dtype = narrow ? Dtype::f32 : compute_dtype(exec, c);
  CONCORDAT_REQUIRE(is_rows(c) && is_rows(a) && is_rows(b),
                    describe("c", c) + "; " + describe("a", a) + "; " + describe("b", b));
  std::int64_t m = a.dim(options.transpose_a ? 1 : 0);
  std::int64_t k = a.dim(options.transpose_a ? 0 : 1);
  std::int64_t n = b.dim(options.transpose_b ? 0 : 1);
  CONCORDAT_REQUIRE(b.dim(options.transpose_b ? 1 : 0) == k && c.dim(0) == m && c.dim(1) == n,
                    describe("c", c) + "; " + describe("a", a) + "; " + describe("b", b));
  if (!options.bias.empty()) require_vector("bias", options.bias, n, dtype);
  if (!options.residual.empty()) require_rows("residual", options.residual, m, n, dtype);
  ArenaScope scope(exec.arena);
  Kernels& kernels = exec.backend.kernels(exec.stream);
  const bool as_they_are = a.dtype() == b.dtype() && kernels.takes_operands(a.dtype());
  Tensor wide_a = as_they_are ? a : as_compute(exec, a, dtype);
  Tensor wide_b = as_they_are ? b : as_compute(exec, b, dtype);
  // Scratch moves: a cached copy of it would go stale.
  if (wide_b.dtype() != b.dtype()) weight_version = 0;
  for (const Tensor* t : {&options.bias, &options.residual}) {
    CONCORDAT_REQUIRE(t->empty() || t->place() == kernels.place(), "bias or residual");
  }
  const bool direct = !narrow || (as_they_are && kernels.rounds_products(c.dtype(), a.dtype()));
  const Tensor result = direct ? c : exec.arena.take(Dtype::f32, c.shape());
  Tensor scratch = take_scratch(
      exec, kernels.matmul_scratch_bytes(result, wide_a, wide_b, options, weight_version != 0));
  launch(exec, &Kernels::matmul, result, wide_a, wide_b, options, weight_version, scratch);
  if (!direct) launch(exec, &Kernels::copy, c, result);
}

}  // namespace

void matmul(Exec& exec, const Tensor& c, const Tensor& a, const Tensor& b,
            const MatmulOptions& options) {
  product(exec, c, a, b, options, 0);
}

void matmul(Exec& exec, const Tensor& c, const Tensor& a, const Parameter& b,
            const MatmulOptions& options) {
  product(exec, c, a, b.value(), options, b.version());
}

}  // namespace concordat::device
