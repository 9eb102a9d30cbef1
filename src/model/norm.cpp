#include "concordat/model/norm.hpp"

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/rms_norm.hpp"

namespace concordat::model {

RmsNorm::RmsNorm(Weight& weight, float eps, SlotNames& slots, const std::string& name)
    : weight_(weight),
      eps_(eps),
      x_(slots.reserve(name + ".x")),
      inv_rms_(slots.reserve(name + ".inv_rms")),
      grad_y_(slots.reserve(name + ".grad_y")) {}

Tensor RmsNorm::forward(Pass& pass, const Tensor& x) {
  Tensor y = pass.take(x.dim(0), x.dim(1));
  const Tensor inv_rms = pass.pool.take(Dtype::f32, {x.dim(0)});
  device::rms_norm_forward(pass.exec, y, inv_rms, x, weight_.compute.value(), eps_);
  pass.save(x_, x, pass.remakes ? 3 : 2);
  pass.save(inv_rms_, inv_rms, 2);
  return y;
}

Tensor RmsNorm::again(Pass& pass) {
  const Tensor x = pass.saved.use(x_);
  Tensor y = pass.take(x.dim(0), x.dim(1));
  const Tensor inv_rms = pass.pool.take(Dtype::f32, {x.dim(0)});
  device::rms_norm_forward(pass.exec, y, inv_rms, x, weight_.compute.value(), eps_);
  return y;
}

Tensor RmsNorm::backward_input(Pass& pass, const Tensor& grad_y) {
  return gradient(pass, grad_y, {});
}

Tensor RmsNorm::backward_add(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual) {
  return gradient(pass, grad_y, grad_residual);
}

Tensor RmsNorm::gradient(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual) {
  const Tensor x = pass.saved.use(x_);
  const Tensor inv_rms = pass.saved.use(inv_rms_);
  Tensor grad_x = pass.take(x.dim(0), x.dim(1));
  const bool adds = !grad_residual.empty();
  if (adds) device::copy(pass.exec, grad_x, grad_residual);
  device::rms_norm_backward_input(pass.exec, grad_x, grad_y, x, weight_.compute.value(), inv_rms,
                                  adds ? device::Write::accumulate : device::Write::set);
  pass.save(grad_y_, grad_y, 1);
  return grad_x;
}

void RmsNorm::backward_weight(Pass& pass) {
  const Tensor x = pass.saved.use(x_);
  const Tensor inv_rms = pass.saved.use(inv_rms_);
  const Tensor grad_y = pass.saved.use(grad_y_);
  device::rms_norm_backward_weight(pass.exec, weight_.gradient, grad_y, x, inv_rms);
  if (pass.last) weight_.ready();
}

}  // namespace concordat::model
