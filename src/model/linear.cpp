#include "concordat/model/linear.hpp"

#include "concordat/device/ops/matmul.hpp"
#include "concordat/model/collective_ops.hpp"

namespace concordat::model {

Linear::Linear(Weight& weight, Split split, SlotNames& slots, const std::string& name)
    : weight_(weight),
      split_(split),
      x_(slots.reserve(name + ".x")),
      grad_y_(slots.reserve(name + ".grad_y")) {}

Tensor Linear::product(Pass& pass, const Tensor& x, const Tensor& residual) {
  if (split_ == Split::columns) copy_to_axis_forward(pass.exec, pass.mesh, Axis::tp, x);
  Tensor y = pass.take(x.dim(0), weight_.compute.value().dim(0));
  device::matmul(pass.exec, y, x, weight_.compute, {.transpose_b = true, .residual = residual});
  if (split_ == Split::rows) reduce_from_axis_forward(pass.exec, pass.mesh, Axis::tp, y);
  pass.save(x_, x, 1);
  return y;
}

Tensor Linear::forward(Pass& pass, const Tensor& x) { return product(pass, x, {}); }

Tensor Linear::forward_add(Pass& pass, const Tensor& x, const Tensor& residual) {
  // The sum over tp must hold the residual once: the first rank of the group puts it in.
  const bool adds = split_ != Split::rows || index_on(pass.mesh, Axis::tp) == 0;
  return product(pass, x, adds ? residual : Tensor());
}

Tensor Linear::backward_input(Pass& pass, const Tensor& grad_y) {
  if (split_ == Split::rows) reduce_from_axis_backward(pass.exec, pass.mesh, Axis::tp, grad_y);
  Tensor grad_x = pass.take(grad_y.dim(0), weight_.compute.value().dim(1));
  device::matmul(pass.exec, grad_x, grad_y, weight_.compute);
  if (split_ == Split::columns) copy_to_axis_backward(pass.exec, pass.mesh, Axis::tp, grad_x);
  pass.save(grad_y_, grad_y, 1);
  return grad_x;
}

void Linear::backward_weight(Pass& pass) {
  const Tensor x = pass.saved.use(x_);
  const Tensor grad_y = pass.saved.use(grad_y_);
  device::matmul(pass.exec, weight_.gradient, grad_y, x, {.transpose_a = true, .beta = 1.0F});
  if (pass.last) weight_.ready();
}

}  // namespace concordat::model
