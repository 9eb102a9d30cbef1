#include "concordat/device/ops/elementwise.hpp"

#include "device/launch.hpp"

namespace concordat::device {
void fill(Exec& exec, const Tensor& out, double value) {
  CONCORDAT_REQUIRE(!out.empty(), "fill");
  launch(exec, &Kernels::fill, out, value);
}

void copy(Exec& exec, const Tensor& out, const Tensor& in) {
  CONCORDAT_REQUIRE(!out.empty() && !in.empty() && out.shape() == in.shape(), "copy");
  CONCORDAT_REQUIRE(
      out.dtype() == in.dtype() || (is_floating(out.dtype()) && is_floating(in.dtype())),
      describe("out", out) + ", " + describe("in", in));
  launch(exec, &Kernels::copy, out, in);
}

void add(Exec& exec, const Tensor& out, const Tensor& a, const Tensor& b) {
  Dtype dtype = compute_dtype(exec, out);
  for (const Tensor* t : {&out, &a, &b}) {
    CONCORDAT_REQUIRE(!t->empty() && t->dtype() == dtype && t->shape() == out.shape(),
                      describe("add", out));
    CONCORDAT_REQUIRE(t->contiguous() || is_rows(*t), describe("add", *t));
  }
  launch(exec, &Kernels::add, out, a, b);
}

void scale_by(Exec& exec, const Tensor& inout, const Tensor& factor) {
  Dtype dtype = compute_dtype(exec, inout);
  require_scalar("factor", factor, dtype);
  CONCORDAT_REQUIRE(inout.contiguous() || is_rows(inout), describe("inout", inout));
  launch(exec, &Kernels::scale_by, inout, factor);
}

namespace {

void sum_of(Exec& exec, const Tensor& out, const Tensor& in, bool squares, Write write) {
  CONCORDAT_REQUIRE(!out.empty() && !in.empty(), "sum");
  CONCORDAT_REQUIRE(out.size() == 1 && (out.dtype() == Dtype::f32 || out.dtype() == Dtype::f64),
                    describe("out", out));
  require_flat("in", in, in.size(), compute_dtype(exec, in));
  ArenaScope scope(exec.arena);
  Tensor scratch =
      take_scratch(exec, exec.backend.kernels(exec.stream).sum_scratch_bytes(in.size()));
  launch(exec, &Kernels::sum, out, in, squares, write, scratch);
}

}  // namespace

void sum(Exec& exec, const Tensor& out, const Tensor& in, Write write) {
  sum_of(exec, out, in, false, write);
}

void sum_squares(Exec& exec, const Tensor& out, const Tensor& in, Write write) {
  sum_of(exec, out, in, true, write);
}

void sum_in_order(Exec& exec, const Tensor& out, const Tensor& in) {
  require_scalar("out", out, Dtype::f64);
  require_flat("in", in, in.size(), Dtype::f64);
  launch(exec, &Kernels::sum_in_order, out, in);
}

void sum_squares_by_block(Exec& exec, const Tensor& out, const Tensor& in, std::int64_t block) {
  CONCORDAT_REQUIRE(block > 0 && !in.empty(), std::to_string(block));
  require_flat("out", out, (in.size() + block - 1) / block, Dtype::f64);
  require_flat("in", in, in.size(), Dtype::f32);
  launch(exec, &Kernels::sum_squares_by_block, out, in, block);
}

}  // namespace concordat::device
