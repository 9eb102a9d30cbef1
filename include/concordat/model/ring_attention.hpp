// Causal attention over sequences that cp ranks share: each holds a part of every sequence, one run
// of positions or two (SequenceRuns in length.hpp).
//
//   const RingShape shape{.heads = 4, .kv_heads = 2, .head_dim = 64};       // of this rank
//   ring_attention_forward(pass, {out, lse}, q, kv, shape);
//   ring_attention_backward(pass, {grad_q, grad_kv}, grad_out, q, kv, {out, lse}, shape);
//
// Forward: keys and values go once round the ring. Each rank attends to its own first, then to
// those of the ranks before it, nearest first, and merges; pairs of runs in which no query sees a
// key are left out. While it works on one rank's keys, the next are under way on the pass's stream
// of messages. Backward: they go round again, now with the final log-sum-exp, and their gradients
// follow them, growing at each rank, home to the owner. The order of all sums is fixed. With cp = 1
// no message is sent and no copy made. Collective over cp.
#pragma once

#include "concordat/device/ops/attention.hpp"
#include "concordat/model/layer.hpp"

namespace concordat::model {

struct RingShape {
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 1;
  Dtype rounds_to = Dtype::f32;  ///< device::AttentionShape
};

/// Result and log-sum-exp of this rank's queries.
struct AttentionResult {
  Tensor out;  ///< [rows, heads * head_dim]
  Tensor lse;  ///< [rows, heads]
};

/// Before the first of the two. Collective over cp.
void open_ring_channels(parallel::ProcessMesh& mesh);

/// kv: [rows, 2 * kv_heads * head_dim], keys then values; row-strided, like q. Rows are in the
/// order of TokenLayout.
void ring_attention_forward(Pass& pass, const AttentionResult& result, const Tensor& q,
                            const Tensor& kv, const RingShape& shape);

struct RingGradients {
  Tensor q;   ///< like q
  Tensor kv;  ///< like kv
};

/// `result` is what forward gave.
void ring_attention_backward(Pass& pass, const RingGradients& gradients, const Tensor& grad_out,
                             const Tensor& q, const Tensor& kv, const AttentionResult& result,
                             const RingShape& shape);

}  // namespace concordat::model
