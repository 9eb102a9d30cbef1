// Causal attention over sequences that cp ranks share: each holds one chunk of every sequence, the
// chunks in rank order.
//
//   ring_attention_forward(pass, {out, lse}, q, kv, shape);
//   ring_attention_backward(pass, {grad_q, grad_kv}, grad_out, q, kv, {out, lse}, shape);
//
// Forward: a chunk's keys and values go from rank to rank upwards, since only later queries see
// them; each rank attends to its own chunk first, then to those of the ranks below, nearest first,
// and merges. While it works on one chunk, the next is under way on the pass's stream of messages.
// Backward: they go the same way again, now with the final log-sum-exp, and the gradients of a
// chunk follow it, growing at each rank; the last rank sends them home. The order of all sums is
// fixed. With cp = 1 no message is sent and no copy made. Collective over cp.
#pragma once

#include "concordat/device/ops/attention.hpp"
#include "concordat/model/layer.hpp"

namespace concordat::model {

/// Result and log-sum-exp of this rank's queries.
struct AttentionResult {
  Tensor out;  ///< [rows, heads * head_dim]
  Tensor lse;  ///< [rows, heads]
};

/// kv: [rows, 2 * kv_heads * head_dim], keys then values; row-strided. `shape` is that of this
/// rank's chunk against itself, its begins are the chunk's first position.
void ring_attention_forward(Pass& pass, const AttentionResult& result, const Tensor& q,
                            const Tensor& kv, const device::AttentionShape& shape);

struct RingGradients {
  Tensor q;   ///< like q
  Tensor kv;  ///< like kv
};

/// `result` is what forward gave.
void ring_attention_backward(Pass& pass, const RingGradients& gradients, const Tensor& grad_out,
                             const Tensor& q, const Tensor& kv, const AttentionResult& result,
                             const device::AttentionShape& shape);

}  // namespace concordat::model
