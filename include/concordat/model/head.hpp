// Head: final norm, vocabulary-parallel logits, cross entropy. The last layer of the last stage.
//
//   Head head(config, parameters, shard, slots);
//   head.forward_loss(pass, x, loss_sum, gradient_scale);   // loss_sum (0-d f64) += nats;
//                                                           // scale (0-d f32): 1 / step's targets
//   Tensor grad_x = head.backward_loss(pass);
//   head.backward_weight(pass);
//   Tensor logits = head.logits(pass, x);                   // [rows, this rank's ids]
//
// The loss is three ops with collectives over tp between them: the row's maximum, then sum of
// exponentials and target logit, then the gradient. No rank sees another's logits. Rows go through
// all of it in chunks, product included: logits of a chunk exist until its gradient is made, in the
// format that the products of the backward read. A validation pass keeps nothing of them.
#pragma once

#include "concordat/model/config.hpp"
#include "concordat/model/embedding.hpp"
#include "concordat/model/linear.hpp"
#include "concordat/model/norm.hpp"

namespace concordat::model {

class Head {
 public:
  Head(const ModelConfig& config, ParameterSet& parameters, VocabShard shard,
       std::int64_t chunk_rows, SlotNames& slots);
  void forward_loss(Pass& pass, const Tensor& x, const Tensor& loss_sum,
                    const Tensor& gradient_scale);
  Tensor backward_loss(Pass& pass);
  void backward_weight(Pass& pass);
  Tensor logits(Pass& pass, const Tensor& x);

 private:
  Norm norm_;
  Linear projection_;
  VocabShard shard_;
  std::int64_t chunk_rows_;
  Slot grad_logits_;
};

}  // namespace concordat::model
