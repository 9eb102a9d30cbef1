// What the forward and the backward of attention on the tiles of AMX share: for amx_attention*.cpp
// alone, which are compiled for processors that have them.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "device/cpu/amx_attention.hpp"
#include "device/cpu/amx_tiles.hpp"

namespace concordat::device::amx {

inline constexpr std::int64_t key_tile = 256;                 // a multiple of a block
inline constexpr std::int64_t pair_size = 2 * tile_elements;  // of one step of a block

inline std::int64_t blocks(std::int64_t count) { return (count + block - 1) / block; }

// Keys that the query at row i sees: the first ones of the chunk.
inline std::int64_t visible(const AttentionShape& s, std::int64_t i) {
  if (!s.causal) return s.k_length;
  return std::clamp<std::int64_t>(s.q_begin + i - s.k_begin + 1, 0, s.k_length);
}

// Hands out consecutive parts of a thread's scratch, each aligned to 64 bytes.
class Cutter {
 public:
  explicit Cutter(std::byte* at) : begin_(at), at_(at) {}
  template <typename T>
  T* take(std::int64_t count) {
    auto* const taken = reinterpret_cast<T*>(at_);
    at_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return taken;
  }
  std::size_t bytes() const { return static_cast<std::size_t>(at_ - begin_); }

 private:
  std::byte* begin_;
  std::byte* at_;
};

#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw,prefer-vector-width=512")

// As vector_kernels.inc has it: 2^n times a polynomial, at most 2 ulp above -87.
inline __m512 exponential(__m512 x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.33F)), _mm512_set1_ps(88.37F));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341F)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
  r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4F), r);
  __m512 y = _mm512_set1_ps(1.9875691500e-4F);
  for (const float each :
       {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(each));
  }
  y = _mm512_fmadd_ps(y, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0F)));
  return _mm512_scalef_ps(y, n);
}

// Rows far apart are beyond what the processor fetches by itself.
inline void fetch(const AmxRows& from, std::int64_t row, std::int64_t rows, std::int64_t column) {
  for (std::int64_t i = row; i < std::min(row + tile_rows, rows); ++i) {
    __builtin_prefetch(from.data + i * from.stride + column);
    __builtin_prefetch(from.data + i * from.stride + column + 16);
  }
}

// visit(half, d) for the halves of each block of [rows, width], block by block along the width; the
// rows of the next half are fetched meanwhile.
template <typename Visit>
inline void for_halves(const AmxRows& from, std::int64_t rows, std::int64_t width, Visit visit) {
  for (std::int64_t row = 0; row < rows; row += block) {
    for (std::int64_t d = 0; d < width; d += block) {
      for (std::int64_t half = row; half < row + block; half += tile_rows) {
        fetch(from, half + tile_rows, rows, d);
        visit(half, d);
      }
    }
  }
}

// Left blocks of the rows [rows, width]: block by block, in each step by step.
inline void pack_left_rows(std::uint16_t* to, const AmxRows& from, std::int64_t rows,
                           std::int64_t width) {
  for_halves(from, rows, width, [&](std::int64_t half, std::int64_t d) {
    pack_left(to, from.data + half * from.stride + d, from.stride, false, rows - half, width - d);
    to += tile_elements;
  });
}

// Right strips of the rows' transpose [width, rows]: strip by strip of rows, steps along width.
inline void pack_right_turned(std::uint16_t* to, const AmxRows& from, std::int64_t rows,
                              std::int64_t width) {
  for_halves(from, rows, width, [&](std::int64_t half, std::int64_t d) {
    pack_right(to, from.data + half * from.stride + d, from.stride, true, width - d, rows - half);
    to += tile_elements;
  });
}

// Right strips of the rows [rows, width] themselves: strip by strip of width, steps along rows.
inline void pack_right_rows(std::uint16_t* to, const AmxRows& from, std::int64_t rows,
                            std::int64_t width) {
  for (std::int64_t d = 0; d < width; d += block) {
    for (std::int64_t row = 0; row < rows; row += block) {
      for (std::int64_t half = d; half < d + block; half += tile_rows) {
        pack_right(to, from.data + row * from.stride + half, from.stride, false, rows - row,
                   width - half);
        to += tile_elements;
      }
    }
  }
}

// Row i of [rows, count], or that much more of it.
inline void store_row(const AmxRows& rows, std::int64_t i, std::int64_t count, const float* from,
                      float factor, bool accumulate) {
  float* const to = rows.data + i * rows.stride;
  constexpr std::int64_t ahead = 8;  // rows; a fetch never faults
  for (std::int64_t j = 0; j < count; j += 16) {
    __builtin_prefetch(to + ahead * rows.stride + j, 1);
    const __mmask16 mask = first_16(count - j);
    __m512 value = _mm512_mul_ps(_mm512_load_ps(from + j), _mm512_set1_ps(factor));
    if (accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, to + j));
    _mm512_mask_storeu_ps(to + j, mask, value);
  }
}

inline AmxRows at(const AmxRows& rows, std::int64_t row, std::int64_t column) {
  return {rows.data + row * rows.stride + column, rows.stride};
}

#pragma GCC pop_options

/// On every OpenMP thread, with `bytes` of the scratch for each.
template <typename Work>
void each_unit(std::int64_t units, std::byte* scratch, std::size_t bytes, Work&& work) {
  const int threads = omp_in_parallel() != 0 ? 1 : omp_get_max_threads();
#pragma omp parallel num_threads(threads)
  {
    const TileScope tiles;
    std::byte* const mine = scratch + static_cast<std::size_t>(omp_get_thread_num()) * bytes;
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t unit = 0; unit < units; ++unit) work(unit, mine);
  }
}

std::size_t backward_scratch_bytes(const AttentionShape& shape);

}  // namespace concordat::device::amx
