// Block: x + attention(norm(x)), then that + feed_forward(norm(that)).
//
//   Block block(config, layer_index, tp, parameters, slots, Recompute::none);
//   Tensor y = block.forward(pass, x);     // [rows, C]
#pragma once

#include "concordat/model/attention.hpp"
#include "concordat/model/feed_forward.hpp"
#include "concordat/model/norm.hpp"

namespace concordat::model {

class Block final : public Layer {
 public:
  Block(const ModelConfig& config, int layer, int tp, ParameterSet& parameters, SlotNames& slots,
        Recompute recompute = Recompute::none);
  Tensor forward(Pass& pass, const Tensor& x) override;
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  void backward_weight(Pass& pass) override;

 private:
  struct LayerModules;
  Block(const ModelConfig& config, const LayerModules& layer, int tp, SlotNames& slots,
        Recompute recompute);
  Tensor middle(Pass& pass, const Tensor& x);
  Recompute recompute_;
  Slot x_;  // Recompute::block
  Norm attention_norm_;
  Attention attention_;
  Norm mlp_norm_;
  FeedForward mlp_;
};

}  // namespace concordat::model
