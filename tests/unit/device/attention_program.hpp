// What the attention tests run on every back end, and how far operands of 16 bits may lead from the
// reference.
#pragma once

#include <array>
#include <functional>

#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {

/// Rows, columns, seed: an input of a program, the same numbers on every back end.
using AttentionInput = std::function<Tensor(std::int64_t, std::int64_t, std::uint64_t)>;

/// lse, out, the gradients of q, k and v, and these once more, added to what is there.
inline Outputs attention_program(Lab<float>& lab, const AttentionShape& s,
                                 const AttentionInput& input) {
  const std::int64_t queries = s.batch * s.q_length;
  const std::int64_t keys = s.batch * s.k_length;
  const Tensor q = input(queries, s.heads * s.head_dim, 1);
  const Tensor k = input(keys, s.kv_heads * s.head_dim, 2);
  const Tensor v = input(keys, s.kv_heads * s.head_dim, 3);
  const Tensor grad_out = input(queries, s.heads * s.head_dim, 4);
  const Tensor out = lab.out(q.shape());
  const Tensor lse = lab.out({queries, s.heads});
  attention_forward(lab.exec(), out, lse, q, k, v, s);
  const AttentionGradients set{lab.out(q.shape()), lab.out(k.shape()), lab.out(v.shape())};
  attention_backward(lab.exec(), set, grad_out, q, k, v, out, lse, s);
  const AttentionGradients added{lab.random(q.shape(), 5), lab.random(k.shape(), 6),
                                 lab.random(v.shape(), 7)};
  attention_backward(lab.exec(), added, grad_out, q, k, v, out, lse, s, Write::accumulate);
  return {lab.get(lse),   lab.get(out),     lab.get(set.q),   lab.get(set.k),
          lab.get(set.v), lab.get(added.q), lab.get(added.k), lab.get(added.v)};
}

/// For each output, if the inputs are numbers of the format already, so that only weights and
/// gradients of scores are rounded, to `ulp` of themselves. Weights sum to one: out is off by ulp
/// of the largest value at most. The scores' gradients are below 2 head_dim times a weight, which
/// sum to one over a row: the error of grad_q is at most scale * 2 head_dim * ulp, and that of
/// grad_k and grad_v grows with the root of the number of queries, whose errors have random signs.
inline std::array<double, 8> rounding_bounds(const AttentionShape& s, double ulp) {
  const double scale = s.scale == 0.0F ? 1.0 / std::sqrt(static_cast<double>(s.head_dim))
                                       : static_cast<double>(s.scale);
  const double per_query = scale * 2.0 * static_cast<double>(s.head_dim) * ulp;
  const double many =
      std::sqrt(static_cast<double>(s.heads / s.kv_heads) * static_cast<double>(s.q_length));
  return {2e-5,       ulp,       per_query,        many * per_query,
          many * ulp, per_query, many * per_query, many * ulp};
}

/// `wide` rounded to the dtype and widened again, as columns of a wider matrix if `margin` is not
/// 0.
inline Tensor rounded(Lab<float>& lab, const Tensor& wide, Dtype dtype, std::int64_t margin = 0) {
  const Tensor narrow = lab.session.backend().allocate(dtype, wide.shape());
  copy(lab.exec(), narrow, wide);
  const Tensor whole = lab.out({wide.dim(0), wide.dim(1) + 2 * margin});
  const Tensor middle = whole.slice(1, margin, wide.dim(1));
  copy(lab.exec(), middle, narrow);
  return middle;
}

}  // namespace concordat::device::testing
