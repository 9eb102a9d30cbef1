// Attention on tensor cores: each compiled width, ragged heads, rows and keys, offsets, both
// formats.
#include <array>

#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

/// What the format keeps of the values, as columns of a wider matrix if `margin` is not 0.
Tensor kept(Lab<float>& lab, const Tensor& wide, Dtype dtype, std::int64_t margin) {
  const Tensor narrow = lab.session.backend().allocate(dtype, wide.shape());
  copy(lab.exec(), narrow, wide);
  const Tensor whole = lab.out({wide.dim(0), wide.dim(1) + 2 * margin});
  const Tensor middle = whole.slice(1, margin, wide.dim(1));
  copy(lab.exec(), middle, narrow);
  return middle;
}

Outputs attention(Lab<float>& lab, const AttentionShape& s, std::int64_t margin) {
  const std::int64_t queries = s.batch * s.q_length;
  const std::int64_t keys = s.batch * s.k_length;
  const auto input = [&](std::int64_t rows, std::int64_t heads, std::uint64_t seed) {
    return kept(lab, lab.random({rows, heads * s.head_dim}, seed), s.rounds_to, margin);
  };
  const Tensor q = input(queries, s.heads, 1);
  const Tensor k = input(keys, s.kv_heads, 2);
  const Tensor v = input(keys, s.kv_heads, 3);
  const Tensor grad_out = input(queries, s.heads, 4);
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

/// As argued for in attention_test.cpp; `ulp`: what a weight is off by, relatively.
std::array<double, 8> bounds_of(const AttentionShape& s, double ulp) {
  const double scale = s.scale == 0.0F ? 1.0 / std::sqrt(static_cast<double>(s.head_dim))
                                       : static_cast<double>(s.scale);
  const double per_query = scale * 2.0 * static_cast<double>(s.head_dim) * ulp;
  const double many =
      std::sqrt(static_cast<double>(s.heads / s.kv_heads) * static_cast<double>(s.q_length));
  return {2e-5,       ulp,       per_query,        many * per_query,
          many * ulp, per_query, many * per_query, many * ulp};
}

TEST(CudaAttention, OnTensorCoresIsNearTheReference) {
  const std::array shapes{
      AttentionShape{
          .batch = 2, .heads = 2, .kv_heads = 1, .head_dim = 64, .q_length = 70, .k_length = 70},
      AttentionShape{.heads = 1,
                     .kv_heads = 1,
                     .head_dim = 96,
                     .q_length = 33,
                     .k_length = 129,
                     .q_begin = 96},
      AttentionShape{.heads = 2, .kv_heads = 2, .head_dim = 128, .q_length = 65, .k_length = 65},
      AttentionShape{.batch = 2,
                     .heads = 1,
                     .kv_heads = 1,
                     .head_dim = 5,
                     .q_length = 90,
                     .k_length = 40,
                     .k_begin = 20},
      AttentionShape{.heads = 1,
                     .kv_heads = 1,
                     .head_dim = 66,
                     .q_length = 7,
                     .k_length = 9,
                     .q_begin = 3,
                     .k_begin = 50},
      AttentionShape{.heads = 3,
                     .kv_heads = 1,
                     .head_dim = 100,
                     .q_length = 18,
                     .k_length = 75,
                     .causal = false,
                     .scale = 0.3F}};
  for (const Dtype dtype : {Dtype::bf16, Dtype::f16}) {
    for (AttentionShape s : shapes) {
      s.rounds_to = dtype;
      const auto program = [&](std::int64_t margin) {
        return [&s, margin](Lab<float>& lab) { return attention(lab, s, margin); };
      };
      const Outputs expected = run("reference", program(0));
      const Outputs found = run("cuda", program(0));
      const auto bounds = bounds_of(s, dtype == Dtype::bf16 ? 0x1p-9 : 0x1p-12);
      const std::string what = to_string(Shape{s.heads, s.head_dim, s.q_length, s.k_length}) + " " +
                               std::string(name_of(dtype)) + " output ";
      for (std::size_t i = 0; i < bounds.size(); ++i) {
        expect_near(found[i], expected[i], bounds[i], what + std::to_string(i));
      }
      // Threads the other way round, and rows that nothing wide can be read from: the same bits.
      const Outputs again = run("cuda", program(1));
      for (std::size_t i = 0; i < bounds.size(); ++i) {
        expect_near(again[i], found[i], 0.0, what + std::to_string(i) + ", columns of another");
      }
    }
  }
}

}  // namespace
}  // namespace concordat::device::testing
