// Cross entropy over a vocabulary in shards: three ops with collectives between them, and the loss.
//
//   VocabShard shard{.begin = 0, .valid = V};
//   cross_entropy_max(exec, row_max, logits, shard);            // then all-reduce max over tp
//   cross_entropy_sum(exec, row_sum, target_logit, logits, row_max, targets, shard);  // then sum
//   cross_entropy_loss(exec, loss, row_max, row_sum, target_logit, targets);
//   cross_entropy_gradient(exec, logits, logits, row_max, row_sum, targets, scale, shard);
//
// Rows may be chunked by the caller. A negative target is ignored: loss 0, gradient 0.
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// The part of the vocabulary that `logits` [T, V] holds: column j is token begin + j; columns from
/// `valid` on are padding and count as -inf (their gradient is 0).
struct VocabShard {
  std::int64_t begin = 0;
  std::int64_t valid = 0;
};

/// row_max: [T] f32: the largest valid logit of each row.
void cross_entropy_max(Exec& exec, const Tensor& row_max, const Tensor& logits,
                       const VocabShard& shard);

/// row_sum: [T]: sum of exp(logit - row_max); target_logit: [T]: the target's logit if it lies in
/// the shard, else 0. targets: [T] i32.
void cross_entropy_sum(Exec& exec, const Tensor& row_sum, const Tensor& target_logit,
                       const Tensor& logits, const Tensor& row_max, const Tensor& targets,
                       const VocabShard& shard);

/// loss: [T]: row_max + log(row_sum) - target_logit, in nats.
void cross_entropy_loss(Exec& exec, const Tensor& loss, const Tensor& row_max,
                        const Tensor& row_sum, const Tensor& target_logit, const Tensor& targets);

/// grad_logits: [T, V] = (softmax - one_hot(target)) * scale. scale: 0-d f32. In place with logits
/// allowed; grad_logits may be bf16 or f16, the f32 result rounded.
void cross_entropy_gradient(Exec& exec, const Tensor& grad_logits, const Tensor& logits,
                            const Tensor& row_max, const Tensor& row_sum, const Tensor& targets,
                            const Tensor& scale, const VocabShard& shard);

}  // namespace concordat::device
