#include "concordat/model/norm.hpp"

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/layer_norm.hpp"
#include "concordat/device/ops/rms_norm.hpp"

namespace concordat::model {

Norm::Norm(const WeightAndBias& weights, float eps, SlotNames& slots, const std::string& name)
    : weights_(weights),
      eps_(eps),
      x_(slots.reserve(name + ".x")),
      statistics_(slots.reserve(name + ".statistics")),
      grad_y_(slots.reserve(name + ".grad_y")) {}

Tensor Norm::take_statistics(Pass& pass, std::int64_t rows) const {
  return pass.pool.take(Dtype::f32, weights_.bias != nullptr ? Shape{rows, 2} : Shape{rows});
}

Tensor Norm::normalise(Pass& pass, const Tensor& x, const Tensor& statistics) const {
  Tensor y = pass.take_operand(operand_, x.dim(0), x.dim(1));
  const Tensor& weight = weights_.weight.compute.value();
  if (weights_.bias != nullptr) {
    device::layer_norm_forward(pass.exec, y, statistics, x, weight, weights_.bias->compute.value(),
                               eps_);
  } else {
    device::rms_norm_forward(pass.exec, y, statistics, x, weight, eps_);
  }
  return y;
}

Tensor Norm::forward(Pass& pass, const Tensor& x) {
  const Tensor statistics = take_statistics(pass, x.dim(0));
  Tensor y = normalise(pass, x, statistics);
  pass.save(x_, x, pass.remakes ? 3 : 2);
  pass.save(statistics_, statistics, 2);
  return y;
}

Tensor Norm::again(Pass& pass) {
  const Tensor x = pass.saved.use(x_);
  return normalise(pass, x, take_statistics(pass, x.dim(0)));
}

Tensor Norm::backward_input(Pass& pass, const Tensor& grad_y) { return gradient(pass, grad_y, {}); }

Tensor Norm::backward_add(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual) {
  return gradient(pass, grad_y, grad_residual);
}

Tensor Norm::gradient(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual) {
  const Tensor x = pass.saved.use(x_);
  const Tensor statistics = pass.saved.use(statistics_);
  Tensor grad_x = pass.take(x.dim(0), x.dim(1));
  const bool adds = !grad_residual.empty();
  if (adds) device::copy(pass.exec, grad_x, grad_residual);
  const auto write = adds ? device::Write::accumulate : device::Write::set;
  const Tensor& weight = weights_.weight.compute.value();
  if (weights_.bias != nullptr) {
    device::layer_norm_backward_input(pass.exec, grad_x, grad_y, x, weight, statistics, write);
  } else {
    device::rms_norm_backward_input(pass.exec, grad_x, grad_y, x, weight, statistics, write);
  }
  pass.save(grad_y_, grad_y, 1);
  return grad_x;
}

void Norm::backward_weight(Pass& pass) {
  const Tensor x = pass.saved.use(x_);
  const Tensor statistics = pass.saved.use(statistics_);
  const Tensor grad_y = pass.saved.use(grad_y_);
  const Tensor& grad_weight = weights_.weight.sum(pass.exec, pass.place);
  if (weights_.bias != nullptr) {
    device::layer_norm_backward_weight(
        pass.exec, grad_weight, weights_.bias->sum(pass.exec, pass.place), grad_y, x, statistics);
  } else {
    device::rms_norm_backward_weight(pass.exec, grad_weight, grad_y, x, statistics);
  }
  weights_.added(pass.place, pass.last);
}

}  // namespace concordat::model
