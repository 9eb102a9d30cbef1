// Norm as a layer: LayerNorm where there is a bias, RMSNorm where there is none.
//
//   Norm norm(parameters.modules({"model.norm"}), 1e-5F, slots, "model.norm");
//   Tensor y = norm.forward(pass, x);                  // [rows, C]
//   Tensor grad_x = norm.backward_add(pass, grad_y, grad_residual);
#pragma once

#include "concordat/model/layer.hpp"
#include "concordat/model/parameters.hpp"

namespace concordat::model {

class Norm final : public Layer {
 public:
  Norm(const WeightAndBias& weights, float eps, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override;
  /// Only products with weights of this format read y: it is made in it, where the back end
  /// multiplies in it.
  void feeds(Dtype format) { operand_ = format; }
  /// For a pass that remakes, once: what forward returned.
  Tensor again(Pass& pass);
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  /// backward_input plus the gradient that came past the norm: [rows, C], in a new tensor.
  Tensor backward_add(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual);
  void backward_weight(Pass& pass) override;

 private:
  /// What the backward divides by: 1 / rms of each row, or its mean and 1 / standard deviation.
  Tensor take_statistics(Pass& pass, std::int64_t rows) const;
  Tensor normalise(Pass& pass, const Tensor& x, const Tensor& statistics) const;
  Tensor gradient(Pass& pass, const Tensor& grad_y, const Tensor& grad_residual);
  WeightAndBias weights_;
  float eps_;
  Dtype operand_ = Dtype::f32;
  Slot x_;
  Slot statistics_;
  Slot grad_y_;
};

}  // namespace concordat::model
