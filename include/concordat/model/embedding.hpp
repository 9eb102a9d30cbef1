// Embedding: token ids to rows, with the vocabulary sharded over tp.
//
//   Embedding embed(weight, shard, slots, "model.embed_tokens");
//   Tensor x = embed.forward(pass, {});             // [rows, C], summed over tp
#pragma once

#include "concordat/device/ops/cross_entropy.hpp"
#include "concordat/model/layer.hpp"
#include "concordat/model/parameters.hpp"

namespace concordat::model {

/// Token ids that a rank holds: `begin` onwards, `valid` of them; the shard may be padded.
using device::VocabShard;

class Embedding final : public Layer {
 public:
  Embedding(Weight& weight, VocabShard shard, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override;
  /// Empty: token ids have no gradient.
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  void backward_weight(Pass& pass) override;

 private:
  Weight& weight_;
  VocabShard shard_;
  Slot grad_y_;
};

}  // namespace concordat::model
