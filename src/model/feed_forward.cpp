#include "concordat/model/feed_forward.hpp"

#include "concordat/device/ops/gelu.hpp"
#include "concordat/device/ops/swiglu.hpp"

namespace concordat::model {

FeedForward::FeedForward(const Weights& weights, SlotNames& slots, const std::string& name)
    : gated_(weights.gated),
      up_(weights.up, Split::columns, slots, name + ".up"),
      down_(weights.down, Split::rows, slots, name + ".down"),
      products_(slots.reserve(name + ".products")) {}

Tensor FeedForward::activation_of(Pass& pass, const Tensor& products) const {
  const std::int64_t inner = products.dim(1) / (gated_ ? 2 : 1);
  Tensor activation = pass.take_operand(down_.format(), products.dim(0), inner);
  if (gated_) {
    device::swiglu_forward(pass.exec, activation, products.slice(1, 0, inner),
                           products.slice(1, inner, inner));
  } else {
    device::gelu_forward(pass.exec, activation, products);
  }
  return activation;
}

Tensor FeedForward::activate(Pass& pass, const Tensor& x) {
  // In what products read, like the activation: it is half of what a layer keeps.
  if (!gated_) {
    const Linear::Activated made = up_.forward_gelu(pass, x, down_.format());
    pass.save(products_, made.product, 1);
    return made.activation;
  }
  const Tensor products = up_.forward_rounded(pass, x);
  pass.save(products_, products, 1);
  return activation_of(pass, products);
}

Tensor FeedForward::forward_add(Pass& pass, const Tensor& x, const Tensor& residual) {
  return down_.forward_add(pass, activate(pass, x), residual);
}

void FeedForward::replay(Pass& pass, const Tensor& x) { down_.keep(pass, activate(pass, x)); }

Tensor FeedForward::backward_input(Pass& pass, const Tensor& grad_y) {
  if (!gated_) return up_.backward_input(pass, backward_gelu(pass, grad_y));
  const Tensor grad_activation = down_.backward_input(pass, grad_y);
  const Tensor products = pass.saved.use(products_);
  if (pass.remakes) down_.keep(pass, activation_of(pass, products));
  // In f32 the gradients take the place of the products, which nobody else reads.
  const Dtype operand = up_.rounds_to(pass);
  const Tensor grads = operand == Dtype::f32
                           ? products
                           : pass.take_operand(operand, products.dim(0), products.dim(1));
  const std::int64_t inner = products.dim(1) / 2;
  device::swiglu_backward(pass.exec, grads.slice(1, 0, inner), grads.slice(1, inner, inner),
                          grad_activation, products.slice(1, 0, inner),
                          products.slice(1, inner, inner));
  return up_.backward_input(pass, grads);
}

Tensor FeedForward::backward_gelu(Pass& pass, const Tensor& grad_y) {
  const Tensor products = pass.saved.use(products_);
  const Tensor grads = down_.backward_gelu(pass, grad_y, products, up_.rounds_to(pass));
  if (pass.remakes) down_.keep(pass, activation_of(pass, products));
  return grads;
}

void FeedForward::backward_weight(Pass& pass) {
  down_.backward_weight(pass);
  up_.backward_weight(pass);
}

}  // namespace concordat::model
