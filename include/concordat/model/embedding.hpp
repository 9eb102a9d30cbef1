// Embedding: token ids to rows, with the vocabulary sharded over tp, plus a row of the table of
// positions where the family learns them.
//
//   Embedding embed({tokens, positions}, shard, slots, "embedding");
//   Tensor x = embed.forward(pass, {});             // [rows, C], summed over tp
//
// The table of positions is whole on every tp rank and added behind the sum, to the rows that the
// rank keeps: under sequence parallelism its gradient is a part of a sum over tp, as a norm's is.
#pragma once

#include "concordat/device/ops/cross_entropy.hpp"
#include "concordat/model/layer.hpp"
#include "concordat/model/parameters.hpp"

namespace concordat::model {

/// Token ids that a rank holds: `begin` onwards, `valid` of them; the shard may be padded.
using device::VocabShard;

class Embedding final : public Layer {
 public:
  struct Tables {
    Weight& tokens;               ///< [ids of this rank, C]
    Weight* positions = nullptr;  ///< [positions, C]
  };
  Embedding(const Tables& tables, VocabShard shard, SlotNames& slots, const std::string& name);
  Tensor forward(Pass& pass, const Tensor& x) override;
  /// Empty: token ids have no gradient.
  Tensor backward_input(Pass& pass, const Tensor& grad_y) override;
  void backward_weight(Pass& pass) override;

 private:
  /// [rows that this rank keeps] of the batch's positions.
  static Tensor kept_positions(Pass& pass);
  Tables tables_;
  VocabShard shard_;
  Slot grad_y_;
  Slot grad_rows_;
};

}  // namespace concordat::model
