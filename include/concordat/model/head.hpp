// Head: final norm, vocabulary-parallel logits, cross entropy. The last layer of the last stage.
//
//   Head head(config, parameters, shard, slots);
//   head.forward_loss(pass, x, loss_sum);                        // loss_sum (0-d f64) += nats
//   Tensor grad_x = head.backward_loss(pass, gradient_scale);    // 0-d f32: 1 / targets of the
//   step head.backward_weight(pass); Tensor logits = head.logits(pass, x); // [rows, this rank's
//   ids]
//
// The loss is three ops with collectives over tp between them: the row's maximum, then sum of
// exponentials and target logit, then the gradient. No rank sees another's logits. The ops run over
// chunks of rows, so that their temporaries stay in cache.
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
  void forward_loss(Pass& pass, const Tensor& x, const Tensor& loss_sum);
  Tensor backward_loss(Pass& pass, const Tensor& gradient_scale);
  void backward_weight(Pass& pass);
  Tensor logits(Pass& pass, const Tensor& x);

 private:
  Norm norm_;
  Linear projection_;
  VocabShard shard_;
  std::int64_t chunk_rows_;
  Slot logits_;
  Slot statistics_;
};

}  // namespace concordat::model
