// Softmax attention over one chunk of keys, mergeable over chunks (ring attention).
//
//   AttentionShape shape{.batch = B, .heads = H, .kv_heads = G, .head_dim = D, .q_length = T,
//                        .k_length = T};
//   attention_forward(exec, out, lse, q, k, v, shape);
//   attention_merge(exec, out, lse, other_out, other_lse, shape);    // another chunk of keys
//   attention_backward(exec, {dq, dk, dv}, grad_out, q, k, v, out, lse, shape);  // final out, lse
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

struct AttentionShape {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;  ///< divides heads; head h reads kv head h / (heads / kv_heads)
  std::int64_t head_dim = 1;
  std::int64_t q_length = 1;
  std::int64_t k_length = 1;
  std::int64_t q_begin = 0;  ///< position of the first query of every sequence
  std::int64_t k_begin = 0;  ///< position of the first key
  bool causal = true;        ///< query at position p sees keys at positions <= p
  float scale = 0.0F;        ///< of the scores; 0: 1 / sqrt(head_dim)
  /// What the back end may round the operands of its products to (q, k, v, weights and their
  /// gradients); their sums and the softmax stay f32. A back end that gains nothing does not.
  Dtype rounds_to = Dtype::f32;
};

/// q, out: [batch * q_length, heads * head_dim]; k, v: [batch * k_length, kv_heads * head_dim];
/// lse: [batch * q_length, heads], the natural logarithm of the row's sum of exponentials.
/// f32; row-strided q, k, v, out. A query that sees no key gets out = 0, lse = -inf.
/// No T x T matrix is kept: the cpu back end holds one tile per thread.
void attention_forward(Exec& exec, const Tensor& out, const Tensor& lse, const Tensor& q,
                       const Tensor& k, const Tensor& v, const AttentionShape& shape);

/// (out, lse) becomes the attention over the union of its own keys and the other's.
void attention_merge(Exec& exec, const Tensor& out, const Tensor& lse, const Tensor& other_out,
                     const Tensor& other_lse, const AttentionShape& shape);

struct AttentionGradients {
  Tensor q, k, v;
};

/// `out` and `lse` are final, that is merged over all chunks of keys; k, v and the gradients may
/// be of one chunk. Gradients are set or added to.
void attention_backward(Exec& exec, const AttentionGradients& gradients, const Tensor& grad_out,
                        const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                        const Tensor& lse, const AttentionShape& shape, Write write = Write::set);

}  // namespace concordat::device
