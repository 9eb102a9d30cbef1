// The tiles of AMX and how operands get into them: for the amx_*.cpp files alone, which are
// compiled for processors that have them.
//
// A tile is 16 rows of 64 bytes. Left operands lie plainly: 16 rows of 32 bf16. Right operands lie
// in pairs: row r, column j holds elements (2r, j) and (2r + 1, j), so 32 rows of 16 columns.
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS.
#pragma once

// gcc 12's own headers set off these two (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw,prefer-vector-width=512")

namespace concordat::device::amx {

inline constexpr std::int64_t tile_rows = 16;
inline constexpr std::int64_t tile_depth = 32;      // bf16 of k in one tile
inline constexpr std::int64_t tile_elements = 512;  // bf16 in one tile
inline constexpr std::int64_t block = 32;           // rows and columns of a register block

/// Tiles 0-3 hold a block of the result, 4-5 the left and 6-7 the right operand.
class TileScope {
 public:
  TileScope() {
    alignas(64) struct {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    // gcc 12's intrinsic names only the first eight bytes as its input.
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~TileScope() { asm volatile("tilerelease"); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

/// Row i, lane j becomes row j, lane i.
inline void transpose(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/// Of 16 numbers as bf16, those in the mask; f32 is rounded to nearest even.
inline __m256i load_16(const std::uint16_t* from, __mmask16 mask) {
  return _mm256_maskz_loadu_epi16(mask, from);
}
inline __m256i load_16(const float* from, __mmask16 mask) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from)));
}
inline __m512i load_32(const std::uint16_t* from, __mmask32 mask) {
  return _mm512_maskz_loadu_epi16(mask, from);
}
inline __m512i load_32(const float* from, __mmask32 mask) {
  const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from);
  const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16U), from + 16);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

inline __mmask16 first_16(std::int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffffU
                                            : (1U << std::max<std::int64_t>(count, 0)) - 1U);
}
inline __mmask32 first_32(std::int64_t count) {
  return count >= 32 ? 0xffffffffU : (1U << std::max<std::int64_t>(count, 0)) - 1U;
}

/// Sixteen lines of at most 32 numbers as they lie; what is beyond `lines` and `depth` is 0.
template <typename T>
void read_lines(__m512i r[16], const T* from, std::int64_t stride, std::int64_t lines,
                std::int64_t depth) {
  const __mmask32 mask = first_32(depth);
  for (std::int64_t i = 0; i < 16; ++i) {
    r[i] = i < lines ? load_32(from + i * stride, mask) : _mm512_setzero_si512();
  }
}

/// Sixteen pairs of lines of at most 16 numbers, as rows of pairs.
template <typename T>
void read_pairs(__m512i r[16], const T* from, std::int64_t stride, std::int64_t depth,
                std::int64_t columns) {
  const __mmask16 mask = first_16(columns);
  for (std::int64_t i = 0; i < 16; ++i) {
    __m256i low = _mm256_setzero_si256();
    __m256i high = _mm256_setzero_si256();
    if (2 * i < depth) low = load_16(from + 2 * i * stride, mask);
    if (2 * i + 1 < depth) high = load_16(from + (2 * i + 1) * stride, mask);
    r[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
  }
}

inline void write_tile(std::uint16_t* to, const __m512i r[16]) {
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * tile_depth, r[i]);
}

/// One tile of a left operand [lines, depth], or of its transpose, which lies as [depth, lines].
template <typename T>
void pack_left(std::uint16_t* to, const T* from, std::int64_t stride, bool transposed,
               std::int64_t lines, std::int64_t depth) {
  __m512i r[16];
  if (transposed) {
    read_pairs(r, from, stride, depth, lines);
    transpose(r);
  } else {
    read_lines(r, from, stride, lines, depth);
  }
  write_tile(to, r);
}

/// One tile of a right operand [depth, columns], or of its transpose, lying as [columns, depth].
template <typename T>
void pack_right(std::uint16_t* to, const T* from, std::int64_t stride, bool transposed,
                std::int64_t depth, std::int64_t columns) {
  __m512i r[16];
  if (transposed) {
    read_lines(r, from, stride, columns, depth);
    transpose(r);
  } else {
    read_pairs(r, from, stride, depth, columns);
  }
  write_tile(to, r);
}

/// Where a block [32, 32] of f32 lies: a row every `stride` numbers.
struct BlockOut {
  float* data;
  std::int64_t stride;
  bool adds = false;  ///< to what is there; else it is set
};

/// out = left [32, 32 * steps] right [32 * steps, 32], both packed: per step two tiles, of rows
/// 0-15 and 16-31, and of columns 0-15 and 16-31. Meanwhile the lines of the 32 rows at `next` are
/// fetched for writing, a few per step, so that they do not take the buffers that the tiles come
/// through (a fetch never faults).
inline void multiply_block(const BlockOut& out, const std::uint16_t* left,
                           const std::uint16_t* right, std::int64_t steps,
                           const float* next = nullptr, std::int64_t next_stride = 0) {
  char* const to = reinterpret_cast<char*>(out.data);
  const std::int64_t line = out.stride * 4;
  if (out.adds) {
    _tile_loadd(0, to, line);
    _tile_loadd(1, to + 64, line);
    _tile_loadd(2, to + 16 * line, line);
    _tile_loadd(3, to + 16 * line + 64, line);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const std::int64_t rows_per_step = (block + steps - 1) / steps;
  std::int64_t row = next == nullptr ? block : 0;
  for (std::int64_t s = 0; s < steps; ++s) {
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_loadd(7, right + tile_elements, 64);
    _tile_loadd(5, left + tile_elements, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    for (std::int64_t i = 0; i < rows_per_step && row < block; ++i, ++row) {
      __builtin_prefetch(next + row * next_stride, 1);
      __builtin_prefetch(next + row * next_stride + 16, 1);
    }
    left += 2 * tile_elements;
    right += 2 * tile_elements;
  }
  _tile_stored(0, to, line);
  _tile_stored(1, to + 64, line);
  _tile_stored(2, to + 16 * line, line);
  _tile_stored(3, to + 16 * line + 64, line);
}

}  // namespace concordat::device::amx

#pragma GCC pop_options
