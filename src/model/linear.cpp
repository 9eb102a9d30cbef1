#include "concordat/model/linear.hpp"

#include "concordat/device/ops/column_sums.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/fused_products.hpp"
#include "concordat/model/collective_ops.hpp"
#include "concordat/model/shared_rows.hpp"

namespace concordat::model {

Linear::Linear(const WeightAndBias& weights, Split split, SlotNames& slots, const std::string& name)
    : weights_(weights),
      split_(split),
      x_(slots.reserve(name + ".x")),
      grad_y_(slots.reserve(name + ".grad_y")) {}

Dtype Linear::rounds_to(const Pass& pass) const {
  return pass.exec.backend.multiplies(format()) ? format() : Dtype::f32;
}

Tensor Linear::operand(Pass& pass, const Tensor& x) const {
  const Dtype dtype = rounds_to(pass);
  if (x.dtype() == dtype || dtype == Dtype::f32) return x;
  Tensor rounded = pass.pool.take(dtype, x.shape());
  device::copy(pass.exec, rounded, x);
  return rounded;
}

void Linear::keep(Pass& pass, const Tensor& x) { pass.save(x_, operand(pass, x), 1); }

Tensor Linear::gathered(Pass& pass, const Tensor& mine) const {
  return split_ == Split::columns ? whole_rows(pass, mine) : mine;
}

device::MatmulOptions Linear::forward_options() const {
  device::MatmulOptions options{.transpose_b = true};
  if (weights_.bias != nullptr) options.bias = weights_.bias->compute.value();
  return options;
}

Tensor Linear::product(Pass& pass, const Tensor& x, const Tensor& residual, Dtype result) {
  const Tensor mine = operand(pass, x);
  const Tensor whole = gathered(pass, mine);
  Tensor y = pass.pool.take(result, {whole.dim(0), num_outputs()});
  // What tp ranks' sum must hold once, the first rank of the group puts in.
  const bool adds = split_ != Split::rows || index_on(pass.mesh, Axis::tp) == 0;
  device::MatmulOptions options{.transpose_b = true};
  if (adds) options.residual = residual;
  if (adds && weights_.bias != nullptr) options.bias = weights_.bias->compute.value();
  device::matmul(pass.exec, y, whole, weights_.weight.compute, options);
  if (!pass.remakes) pass.save(x_, mine, 1);
  return split_ == Split::rows ? summed_rows(pass, y) : y;
}

Tensor Linear::operand_of(Pass& pass, const Tensor& x) {
  CONCORDAT_REQUIRE(split_ != Split::rows, "chunks of a sum over tp");
  const Tensor mine = operand(pass, x);
  if (!pass.remakes) pass.save(x_, mine, 1);
  return gathered(pass, mine);
}

void Linear::multiply(Pass& pass, const Tensor& y, const Tensor& operand) {
  device::matmul(pass.exec, y, operand, weights_.weight.compute, forward_options());
}

Tensor Linear::forward(Pass& pass, const Tensor& x) { return product(pass, x, {}); }

Tensor Linear::forward_rounded(Pass& pass, const Tensor& x) {
  CONCORDAT_REQUIRE(split_ != Split::rows, "a sum over tp is made in f32");
  return product(pass, x, {}, rounds_to(pass));
}

Linear::Activated Linear::forward_gelu(Pass& pass, const Tensor& x, Dtype next) {
  CONCORDAT_REQUIRE(split_ != Split::rows, "a sum over tp is made in f32");
  const Tensor mine = operand(pass, x);
  const Tensor whole = gathered(pass, mine);
  Activated made{.product = pass.pool.take(rounds_to(pass), {whole.dim(0), num_outputs()}),
                 .activation = pass.take_operand(next, whole.dim(0), num_outputs())};
  device::matmul_gelu(pass.exec, made.product, made.activation, whole, weights_.weight.compute,
                      forward_options());
  if (!pass.remakes) pass.save(x_, mine, 1);
  return made;
}

Tensor Linear::forward_add(Pass& pass, const Tensor& x, const Tensor& residual) {
  if (split_ == Split::rows && pass.rows_sharded) {
    // The residual is this rank's part of the rows, like the sum.
    Tensor y = product(pass, x, {});
    if (!residual.empty()) device::add(pass.exec, y, y, residual);
    return y;
  }
  return product(pass, x, residual);
}

Tensor Linear::gathered_gradient(Pass& pass, const Tensor& grad_y) {
  const Tensor mine = operand(pass, grad_y);
  Tensor whole = split_ == Split::rows ? whole_rows(pass, mine) : mine;
  pass.save(grad_y_, whole, 1);
  return whole;
}

Tensor Linear::backward_gelu(Pass& pass, const Tensor& grad_y, const Tensor& x, Dtype result) {
  CONCORDAT_REQUIRE(split_ != Split::columns, "gelu's gradient before a sum over tp");
  const Tensor whole = gathered_gradient(pass, grad_y);
  const Tensor work = pass.take(x.dim(0), x.dim(1));
  const Tensor grad_x = result == Dtype::f32 ? work : pass.pool.take(result, x.shape());
  device::matmul_gelu_backward(pass.exec, grad_x, work, whole, weights_.weight.compute, x);
  return grad_x;
}

Tensor Linear::backward_input(Pass& pass, const Tensor& grad_y) {
  const Tensor whole = gathered_gradient(pass, grad_y);
  Tensor grad_x = pass.take(whole.dim(0), weights_.weight.compute.value().dim(1));
  device::matmul(pass.exec, grad_x, whole, weights_.weight.compute);
  return split_ == Split::columns ? summed_rows(pass, grad_x) : grad_x;
}

void Linear::backward_weight(Pass& pass) {
  const Tensor saved = pass.saved.use(x_);
  const Tensor grad_y = pass.saved.use(grad_y_);
  const Tensor x = gathered(pass, saved);
  const bool adds = weights_.weight.next_write(pass.place) == device::Write::accumulate;
  const device::MatmulOptions options{.transpose_a = true, .beta = adds ? 1.0F : 0.0F};
  const Tensor& gradient = weights_.weight.gradient(pass.place);
  if (weights_.bias == nullptr) {
    device::matmul(pass.exec, gradient, grad_y, x, options);
  } else if (const Tensor& sums = weights_.bias->sum(pass.exec, pass.place);
             split_ == Split::rows && pass.rows_sharded) {
    // The bias is whole on every tp rank, and its gradient summed over them: each takes its rows.
    device::matmul(pass.exec, gradient, grad_y, x, options);
    const std::int64_t rows = grad_y.dim(0) / pass.mesh.shape().tp;
    device::add_column_sums(pass.exec, sums,
                            grad_y.slice(0, rows * index_on(pass.mesh, Axis::tp), rows));
  } else {
    device::matmul_row_sums(pass.exec, gradient, sums, grad_y, x, options);
  }
  weights_.added(pass.place, pass.last);
}

}  // namespace concordat::model
