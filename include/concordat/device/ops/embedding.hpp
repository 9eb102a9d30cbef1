// Embedding rows, with a vocabulary offset for shards.
//
//   embedding_forward(exec, x, tokens, table);             // x: [T, C]
//   embedding_backward(exec, grad_table, grad_x, tokens);  // added to
#pragma once

#include "concordat/device/exec.hpp"

namespace concordat::device {

/// x: [T, C] f32, set or added to; tokens: [T] i32; table: [V, C] f32, bf16 or f16 holding the rows
/// vocab_begin...: a token outside of [vocab_begin, vocab_begin + V) gives a row of zeros (the
/// shards' rows are summed).
void embedding_forward(Exec& exec, const Tensor& x, const Tensor& tokens, const Tensor& table,
                       std::int64_t vocab_begin = 0, Write write = Write::set);

/// grad_table[token] += grad_x[t], in ascending order of t.
void embedding_backward(Exec& exec, const Tensor& grad_table, const Tensor& grad_x,
                        const Tensor& tokens, std::int64_t vocab_begin = 0);

}  // namespace concordat::device
