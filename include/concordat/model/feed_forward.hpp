// FeedForward: SwiGLU between a column-parallel and a row-parallel product.
//
//   FeedForward mlp({gate_up_weight, down_weight}, slots, "layers.0.mlp");
//   Tensor y = mlp.forward_add(pass, normed, residual);    // [rows, C]
#pragma once

#include "concordat/model/linear.hpp"

namespace concordat::model {

class FeedForward final : public Layer {
 public:
  struct Weights {
    Weight& gate_up;  ///< [2 F of this rank, C]: gate_proj above up_proj
    Weight& down;     ///< [C, F of this rank]
  };
  FeedForward(Weights weights, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override { return forward_add(pass, x, {}); }
  Tensor forward_add(Pass& pass, const Tensor& x, const Tensor& residual);
  /// What forward_add saves, without its last product: enough for a backward.
  void replay(Pass& pass, const Tensor& x);
  /// For a pass that remakes: the input of forward, made again.
  void keep(Pass& pass, const Tensor& x) { gate_up_.keep(pass, x); }
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  void backward_weight(Pass& pass) override;

 private:
  Tensor activate(Pass& pass, const Tensor& x);
  Linear gate_up_;
  Linear down_;
  Slot products_;
};

}  // namespace concordat::model
