// RmsNorm as a layer.
//
//   RmsNorm norm(parameters.weight({"model.norm.weight"}), 1e-5F, slots, "model.norm");
//   Tensor y = norm.forward(pass, x);                  // [rows, C]
//   Tensor grad_x = norm.backward_add(pass, grad_y, grad_residual);
#pragma once

#include "concordat/model/layer.hpp"
#include "concordat/model/parameters.hpp"

namespace concordat::model {

class RmsNorm final : public Layer {
 public:
  RmsNorm(Weight& weight, float eps, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override;
  /// For a pass that remakes, once: what forward returned.
  Tensor again(Pass& pass);
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  /// backward_input plus the gradient that came past the norm: [rows, C], in a new tensor.
  Tensor backward_add(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual);
  void backward_weight(Pass& pass) override;

 private:
  Tensor gradient(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual);
  Weight& weight_;
  float eps_;
  Slot x_;
  Slot inv_rms_;
  Slot grad_y_;
};

}  // namespace concordat::model
