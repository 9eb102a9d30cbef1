#include <algorithm>

#include "unit/device/attention_program.hpp"

namespace concordat::device::testing {
namespace {

std::string text(const AttentionShape& s) {
  return to_string(Shape{s.batch, s.heads, s.kv_heads, s.head_dim, s.q_length, s.k_length,
                         s.q_begin, s.k_begin, s.causal ? 1 : 0});
}

std::vector<AttentionShape> shapes() {
  return {{.batch = 1, .heads = 1, .kv_heads = 1, .head_dim = 1, .q_length = 1, .k_length = 1},
          {.batch = 2, .heads = 2, .kv_heads = 1, .head_dim = 3, .q_length = 5, .k_length = 5},
          {.batch = 1, .heads = 4, .kv_heads = 2, .head_dim = 8, .q_length = 65, .k_length = 65},
          {.batch = 2, .heads = 3, .kv_heads = 3, .head_dim = 32, .q_length = 128, .k_length = 128},
          {.batch = 1,
           .heads = 2,
           .kv_heads = 2,
           .head_dim = 16,
           .q_length = 30,
           .k_length = 300,
           .q_begin = 280,
           .k_begin = 0},
          {.batch = 1,
           .heads = 2,
           .kv_heads = 1,
           .head_dim = 5,
           .q_length = 70,
           .k_length = 40,
           .q_begin = 0,
           .k_begin = 20},  // the first 20 queries see nothing
          {.batch = 2,
           .heads = 1,
           .kv_heads = 1,
           .head_dim = 4,
           .q_length = 7,
           .k_length = 9,
           .q_begin = 3,
           .k_begin = 50},  // no query sees a key
          {.batch = 1,
           .heads = 2,
           .kv_heads = 2,
           .head_dim = 6,
           .q_length = 67,
           .k_length = 270,
           .causal = false,
           .scale = 0.7F}};
}

// Shapes that cross the borders of tiles on the way.
std::vector<AttentionShape> longer_shapes() {
  auto all = shapes();
  all.push_back(
      {.batch = 2, .heads = 4, .kv_heads = 2, .head_dim = 64, .q_length = 300, .k_length = 300});
  all.push_back({.batch = 1,
                 .heads = 2,
                 .kv_heads = 1,
                 .head_dim = 40,
                 .q_length = 290,
                 .k_length = 550,
                 .q_begin = 250});
  all.push_back({.batch = 1,
                 .heads = 1,
                 .kv_heads = 1,
                 .head_dim = 33,
                 .q_length = 530,
                 .k_length = 280,
                 .q_begin = 3,
                 .k_begin = 260});
  return all;
}

/// The back ends that may round, beside the reference.
std::vector<std::string> rounding_backends() {
  std::vector<std::string> names = tested_backends();
  std::erase_if(names, [](const auto& each) { return each == "reference" || each == "strict"; });
  return names;
}

TEST(Attention, OperandsRoundedToBf16StayNearTheReference) {
  std::vector<std::string> names = rounding_backends();
  // Emulated, the longer ones take too long; CudaAttention has what crosses borders there.
  const bool emulated = std::ranges::find(names, "cuda") != names.end();
  names.insert(names.begin(), "reference");
  for (AttentionShape s : emulated ? shapes() : longer_shapes()) {
    s.rounds_to = Dtype::bf16;
    std::vector<Outputs> results;
    for (const std::string& name : names) {
      Lab<float> lab(name);
      results.push_back(attention_program(lab, s, [&](auto rows, auto columns, auto seed) {
        return rounded(lab, lab.random({rows, columns}, seed), Dtype::bf16);
      }));
    }
    const auto bounds = rounding_bounds(s, 0x1p-9);
    for (std::size_t at = 1; at < results.size(); ++at) {
      for (std::size_t i = 0; i < bounds.size(); ++i) {
        expect_near(results[at][i], results[0][i], bounds[i],
                    names[at] + " " + text(s) + " output " + std::to_string(i));
      }
    }
  }
}

TEST(Attention, ForwardAndBackwardMatchTheReference) {
  // Scores are sums of head_dim products below 1; weights sum to one, so out's error is that of
  // exp() and of the sums: below 1e-5. Gradients of k and v sum up to 70 queries.
  for (const AttentionShape& s : shapes()) {
    check_backends(
        text(s),
        [s](Lab<float>& lab) {
          return attention_program(lab, s, [&](auto rows, auto columns, auto seed) {
            return lab.random({rows, columns}, seed);
          });
        },
        2e-5);
  }
}

TEST(Attention, ChunksOfKeysMergeToTheWhole) {
  // What ring attention does: two chunks of keys, merged; the backward per chunk with the final
  // (out, lse) gives the gradients of the whole.
  AttentionShape whole{.batch = 2,
                       .heads = 2,
                       .kv_heads = 1,
                       .head_dim = 8,
                       .q_length = 12,
                       .k_length = 20,
                       .q_begin = 5};
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    Tensor q = lab.random({24, 16}, 1);
    Tensor k = lab.random({40, 8}, 2);
    Tensor v = lab.random({40, 8}, 3);
    Tensor grad_out = lab.random({24, 16}, 4);
    Tensor out = lab.out({24, 16});
    Tensor lse = lab.out({24, 2});
    attention_forward(lab.exec(), out, lse, q, k, v, whole);
    AttentionGradients grads{lab.out({24, 16}), lab.out({40, 8}), lab.out({40, 8})};
    attention_backward(lab.exec(), grads, grad_out, q, k, v, out, lse, whole);

    Tensor merged = lab.out({24, 16});
    Tensor merged_lse = lab.out({24, 2});
    AttentionGradients parts{lab.out({24, 16}), lab.out({40, 8}), lab.out({40, 8})};
    fill(lab.exec(), parts.q, 0.0);
    fill(lab.exec(), merged, 0.0);
    fill(lab.exec(), merged_lse, -INFINITY);
    AttentionShape chunk = whole;
    chunk.k_length = 10;
    struct Part {
      Tensor k, v, grad_k, grad_v;
      AttentionShape shape;
    };
    std::vector<Part> chunks;
    for (std::int64_t begin : {10, 0}) {  // the later keys first, as a ring may bring them
      chunk.k_begin = begin;
      Part part{lab.out({20, 8}), lab.out({20, 8}), lab.out({20, 8}), lab.out({20, 8}), chunk};
      for (std::int64_t b = 0; b < 2; ++b) {
        copy(lab.exec(), part.k.slice(0, b * 10, 10), k.slice(0, b * 20 + begin, 10));
        copy(lab.exec(), part.v.slice(0, b * 10, 10), v.slice(0, b * 20 + begin, 10));
      }
      Tensor each = lab.out({24, 16});
      Tensor each_lse = lab.out({24, 2});
      attention_forward(lab.exec(), each, each_lse, q, part.k, part.v, chunk);
      attention_merge(lab.exec(), merged, merged_lse, each, each_lse, chunk);
      chunks.push_back(part);
    }
    for (const Part& part : chunks) {
      fill(lab.exec(), part.grad_k, 0.0);
      fill(lab.exec(), part.grad_v, 0.0);
      attention_backward(lab.exec(), {parts.q, part.grad_k, part.grad_v}, grad_out, q, part.k,
                         part.v, merged, merged_lse, part.shape, Write::accumulate);
      for (std::int64_t b = 0; b < 2; ++b) {
        std::int64_t begin = part.shape.k_begin;
        copy(lab.exec(), parts.k.slice(0, b * 20 + begin, 10), part.grad_k.slice(0, b * 10, 10));
        copy(lab.exec(), parts.v.slice(0, b * 20 + begin, 10), part.grad_v.slice(0, b * 10, 10));
      }
    }
    expect_near(lab.get(merged), lab.get(out), 1e-6, name + " out");
    expect_near(lab.get(merged_lse), lab.get(lse), 1e-6, name + " lse");
    expect_near(lab.get(parts.q), lab.get(grads.q), 3e-6, name + " grad q");
    expect_near(lab.get(parts.k), lab.get(grads.k), 3e-6, name + " grad k");
    expect_near(lab.get(parts.v), lab.get(grads.v), 3e-6, name + " grad v");
  }
}

TEST(Attention, WrongShapesAreBugs) {
  Lab<float> lab("reference");
  Tensor q = lab.out({4, 6});
  AttentionShape s{
      .batch = 1, .heads = 3, .kv_heads = 2, .head_dim = 2, .q_length = 4, .k_length = 4};
  EXPECT_THROW(attention_forward(lab.exec(), q, lab.out({4, 3}), q, q, q, s), Bug);
  s.kv_heads = 3;
  EXPECT_THROW(attention_forward(lab.exec(), q, lab.out({4, 2}), q, q, q, s), Bug);
}

}  // namespace
}  // namespace concordat::device::testing
