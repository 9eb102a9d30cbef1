// bf16 matrix products on the tiles of AMX (Intel, from Sapphire Rapids on), f32 out.
//
//   if (amx_usable()) {
//     const AmxProduct product{.m = 2048, .n = 768, .k = 3072, .a = a, .a_stride = 3072, ...};
//     std::vector<std::byte> scratch(amx_scratch_bytes(product));
//     amx_product(product, scratch.data());
//   }
//
// Why not oneDNN's: version 2.6 reaches a seventh of what the tiles can do on the shapes of
// training, and wants a packed copy of every weight. Here operands are packed on the way, into
// scratch.
//
// An element of c is summed over k in ascending order whatever m, n, the strides and the number of
// threads are: a row's bits do not depend on the rows beside it.
// Threads: all of OpenMP's, or the calling one inside a parallel region.
#pragma once

#include <cstddef>
#include <cstdint>

namespace concordat::device {

/// c = alpha * op(a) op(b) + beta * c + bias + residual. Strides in elements, columns contiguous.
struct AmxProduct {
  std::int64_t m = 0, n = 0, k = 0;
  const std::uint16_t* a = nullptr;  ///< bf16 [m, k], or [k, m] if transposed
  std::int64_t a_stride = 0;
  bool a_transposed = false;
  const std::uint16_t* b = nullptr;  ///< bf16 [k, n], or [n, k] if transposed
  std::int64_t b_stride = 0;
  bool b_transposed = false;
  float* c = nullptr;                ///< [m, n]
  std::uint16_t* rounded = nullptr;  ///< instead of c: the result as bf16; beta is 0
  std::int64_t c_stride = 0;
  float alpha = 1.0F;
  float beta = 0.0F;                ///< 0: c is not read
  const float* bias = nullptr;      ///< [n] or none
  const float* residual = nullptr;  ///< [m, n] or none
  std::int64_t residual_stride = 0;
};

/// The processor has bf16 tiles and the system lets this process use them (asked for once).
bool amx_usable();
std::size_t amx_scratch_bytes(const AmxProduct& product);
/// @pre amx_usable(); scratch is aligned to 64 bytes.
void amx_product(const AmxProduct& product, std::byte* scratch);

}  // namespace concordat::device
