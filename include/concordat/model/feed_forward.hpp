// FeedForward: SwiGLU or GELU between a column-parallel and a row-parallel product.
//
//   FeedForward mlp({.up = gate_and_up, .down = down, .gated = true}, slots, "layers.0.mlp");
//   Tensor y = mlp.forward_add(pass, normed, residual);    // [rows, C]
#pragma once

#include "concordat/model/linear.hpp"

namespace concordat::model {

class FeedForward final : public Layer {
 public:
  struct Weights {
    WeightAndBias up;    ///< [F of this rank, C]; gated: [2 F, C], gate above up
    WeightAndBias down;  ///< [C, F of this rank]
    bool gated = true;   ///< SwiGLU; false: GELU in its tanh form
  };
  FeedForward(const Weights& weights, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override { return forward_add(pass, x, {}); }
  Tensor forward_add(Pass& pass, const Tensor& x, const Tensor& residual);
  /// What forward_add saves, without its last product: enough for a backward.
  void replay(Pass& pass, const Tensor& x);
  /// For a pass that remakes: the input of forward, made again.
  void keep(Pass& pass, const Tensor& x) { up_.keep(pass, x); }
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  void backward_weight(Pass& pass) override;

  /// Of the first product's weight: the layer before may make x in it.
  Dtype format() const { return up_.format(); }

 private:
  Tensor activate(Pass& pass, const Tensor& x);
  /// The gradient of the first product.
  Tensor backward_gelu(Pass& pass, const Tensor& grad_y);
  Tensor activation_of(Pass& pass, const Tensor& products) const;
  bool gated_;
  Linear up_;
  Linear down_;
  Slot products_;
};

}  // namespace concordat::model
