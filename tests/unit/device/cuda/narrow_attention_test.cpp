// Attention on tensor cores: each compiled width, ragged heads, rows and keys, offsets, both
// formats.
#include "unit/device/attention_program.hpp"

namespace concordat::device::testing {
namespace {

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
        return [&s, margin](Lab<float>& lab) {
          return attention_program(lab, s, [&](auto rows, auto columns, auto seed) {
            return rounded(lab, lab.random({rows, columns}, seed), s.rounds_to, margin);
          });
        };
      };
      const Outputs expected = run("reference", program(0));
      const Outputs found = run("cuda", program(0));
      const auto bounds = rounding_bounds(s, dtype == Dtype::bf16 ? 0x1p-9 : 0x1p-12);
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
