// Attention on the tiles of AMX: f32 in and out, products' operands rounded to bf16, sums,
// softmax and its gradient in f32.
//
//   if (shape.rounds_to == Dtype::bf16 && Products::uses_tiles()) {
//     amx_attention_forward(shape, {.q = {q, q_stride}, ...}, scratch);
//   }
//
// Scratch is amx_attention_scratch_bytes() per OpenMP thread. Units of work are whole heads of one
// sequence (backward: heads that share keys) and go to whoever is free; results do not depend on
// who that is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "concordat/device/ops/attention.hpp"

namespace concordat::device {

/// Rows of f32 with a stride in elements.
struct AmxRows {
  float* data = nullptr;
  std::int64_t stride = 0;
};

/// As in the op: q, out: [batch * q_length, heads * head_dim]; k, v: [batch * k_length, kv_heads *
/// head_dim]; lse: [batch * q_length, heads].
struct AmxAttention {
  AmxRows q, k, v, out, lse;
};
struct AmxAttentionGradients {
  AmxRows out, q, k, v;
  bool accumulate = false;
};

/// Per thread; a multiple of 64.
std::size_t amx_attention_scratch_bytes(const AttentionShape& shape, bool backward);
/// @pre amx_usable(); scratch aligned to 64 bytes.
void amx_attention_forward(const AttentionShape& shape, const AmxAttention& tensors,
                           std::byte* scratch);
void amx_attention_backward(const AttentionShape& shape, const AmxAttention& tensors,
                            const AmxAttentionGradients& gradients, std::byte* scratch);

}  // namespace concordat::device
