// Attention: query, key and value from one product, rotary positions where the family has them,
// causal softmax, output projection. Heads are sharded over tp; several query heads may share a key
// and value head. Where there are fewer of those than tp ranks, neighbours hold the same one.
// Sequences may be shared over cp (ring_attention.hpp).
//
//   Attention attention(config, tp, {.qkv = qkv, .out = out}, slots, "layers.0.self_attn");
//   Tensor y = attention.forward_add(pass, normed, residual);   // [rows, C]
#pragma once

#include "concordat/device/ops/attention.hpp"
#include "concordat/model/config.hpp"
#include "concordat/model/linear.hpp"
#include "concordat/model/ring_attention.hpp"

namespace concordat::model {

class Attention final : public Layer {
 public:
  struct Weights {
    WeightAndBias qkv;  ///< [q columns + 2 kv columns, C]: q, k, v one below the other
    WeightAndBias out;  ///< [C, q columns]
  };
  Attention(const ModelConfig& config, int tp, const Weights& weights, SlotNames& slots,
            const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override { return forward_add(pass, x, {}); }
  Tensor forward_add(Pass& pass, const Tensor& x, const Tensor& residual);
  /// For a pass that remakes: the input of forward, made again.
  void keep(Pass& pass, const Tensor& x) { qkv_.keep(pass, x); }
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  void backward_weight(Pass& pass) override;

  /// Of the first product's weight: the layer before may make x in it.
  Dtype format() const { return qkv_.format(); }

 private:
  RingShape shape(const Pass& pass) const;
  void turn(Pass& pass, const Tensor& qkv, bool inverse) const;
  std::int64_t heads_;     // of this rank
  std::int64_t kv_heads_;  // of this rank
  std::int64_t head_dim_;
  bool rotary_;
  double rope_base_;
  Linear qkv_;
  Linear out_;
  Slot turned_;
  Slot result_;
  Slot lse_;
};

}  // namespace concordat::model
