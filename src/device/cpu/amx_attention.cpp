// Softmax over tiles of keys as in FlashAttention (Dao et al., 2022, arXiv:2205.14135), cut for a
// core's second-level cache.
#include <cmath>
#include <limits>

#include "device/cpu/amx_attention_parts.hpp"

namespace concordat::device {
namespace {

using namespace amx;

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

struct ForwardScratch {
  std::uint16_t *q, *k, *v, *p;
  float *scores, *out;
};

ForwardScratch cut_forward(const AttentionShape& s, Cutter& cutter) {
  const std::int64_t depth = blocks(s.head_dim);
  const std::int64_t keys = blocks(s.k_length);
  ForwardScratch cut{};
  cut.q = cutter.take<std::uint16_t>(depth * pair_size);
  cut.k = cutter.take<std::uint16_t>(keys * depth * pair_size);
  cut.v = cutter.take<std::uint16_t>(keys * depth * pair_size);
  cut.p = cutter.take<std::uint16_t>(key_tile / block * pair_size);
  cut.scores = cutter.take<float>(block * key_tile);
  cut.out = cutter.take<float>(block * depth * block);
  return cut;
}

#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw,prefer-vector-width=512")

// One row of scores becomes weights exp(s * scale - top) in bf16, in a left block's rows; gives
// their sum. Those from `seen` on are 0.
float row_weights(std::uint16_t* to, const float* scores, float scale, float top, std::int64_t seen,
                  std::int64_t width) {
  const __m512 factor = _mm512_set1_ps(scale);
  const __m512 shift = _mm512_set1_ps(top);
  __m512 total = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < width; j += block) {
    __m512 part[2];
    for (std::int64_t half = 0; half < 2; ++half) {
      const __mmask16 mask = amx::first_16(seen - j - 16 * half);
      const __m512 s = _mm512_load_ps(scores + j + 16 * half);
      part[half] = _mm512_maskz_mov_ps(mask, exponential(_mm512_fmsub_ps(s, factor, shift)));
      total = _mm512_add_ps(total, part[half]);
    }
    _mm512_store_si512(to, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(part[1], part[0])));
    to += pair_size;
  }
  return _mm512_reduce_add_ps(total);
}

float row_maximum(const float* scores, float scale, std::int64_t seen) {
  const __m512 factor = _mm512_set1_ps(scale);
  __m512 largest = _mm512_set1_ps(minus_infinity);
  for (std::int64_t j = 0; j < seen; j += 16) {
    const __mmask16 mask = amx::first_16(seen - j);
    const __m512 s = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, scores + j), factor);
    largest = _mm512_mask_max_ps(largest, mask, largest, s);
  }
  return _mm512_reduce_max_ps(largest);
}

void scale_row(float* to, float factor, std::int64_t count) {
  for (std::int64_t j = 0; j < count; j += 16) {
    _mm512_store_ps(to + j, _mm512_mul_ps(_mm512_load_ps(to + j), _mm512_set1_ps(factor)));
  }
}

// 32 queries from `first` on against all the keys that they see.
void forward_rows(const AttentionShape& s, const AmxAttention& head, const ForwardScratch& cut,
                  std::int64_t first) {
  const std::int64_t depth = blocks(s.head_dim);
  const std::int64_t rows = std::min(block, s.q_length - first);
  const std::int64_t keys = visible(s, first + rows - 1);
  const std::int64_t width = depth * block;
  float largest[block], total[block];
  std::fill_n(largest, block, minus_infinity);
  std::fill_n(total, block, 0.0F);
  if (keys == 0) std::fill_n(cut.out, block * width, 0.0F);
  pack_left_rows(cut.q, at(head.q, first, 0), rows, s.head_dim);
  for (std::int64_t key = 0; key < keys; key += key_tile) {
    const std::int64_t strips = blocks(std::min(key_tile, keys - key));
    for (std::int64_t strip = 0; strip < strips; ++strip) {
      amx::multiply_block({cut.scores + strip * block, key_tile}, cut.q,
                          cut.k + (key / block + strip) * depth * pair_size, depth);
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* const scores = cut.scores + i * key_tile;
      const std::int64_t seen = std::clamp<std::int64_t>(visible(s, first + i) - key, 0, key_tile);
      const float top = std::max(largest[i], row_maximum(scores, s.scale, seen));
      // A row that has seen nothing yet keeps sums of 0.
      const float shrink = largest[i] == minus_infinity || largest[i] == top
                               ? 1.0F
                               : _mm512_cvtss_f32(exponential(_mm512_set1_ps(largest[i] - top)));
      std::uint16_t* const to = cut.p + i / 16 * amx::tile_elements + i % 16 * amx::tile_depth;
      total[i] = total[i] * shrink +
                 row_weights(to, scores, s.scale, seen > 0 ? top : 0.0F, seen, strips * block);
      largest[i] = top;
      if (key > 0 && shrink != 1.0F) scale_row(cut.out + i * width, shrink, width);
    }
    for (std::int64_t d = 0; d < depth; ++d) {
      amx::multiply_block({cut.out + d * block, width, key > 0}, cut.p,
                          cut.v + (d * blocks(s.k_length) + key / block) * pair_size, strips);
    }
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    const bool any = total[i] > 0.0F;
    store_row(head.out, first + i, s.head_dim, cut.out + i * width, any ? 1.0F / total[i] : 0.0F,
              false);
    *at(head.lse, first + i, 0).data = any ? largest[i] + std::log(total[i]) : minus_infinity;
  }
}

void forward_head(const AttentionShape& s, const AmxAttention& tensors, std::int64_t unit,
                  std::byte* scratch) {
  Cutter cutter(scratch);
  const ForwardScratch cut = cut_forward(s, cutter);
  const std::int64_t h = unit % s.heads;
  const std::int64_t queries = unit / s.heads * s.q_length;
  const std::int64_t keys = unit / s.heads * s.k_length;
  const std::int64_t kv = h / (s.heads / s.kv_heads) * s.head_dim;
  pack_right_turned(cut.k, at(tensors.k, keys, kv), s.k_length, s.head_dim);
  pack_right_rows(cut.v, at(tensors.v, keys, kv), s.k_length, s.head_dim);
  const AmxAttention head{.q = at(tensors.q, queries, h * s.head_dim),
                          .k = {},
                          .v = {},
                          .out = at(tensors.out, queries, h * s.head_dim),
                          .lse = at(tensors.lse, queries, h)};
  for (std::int64_t first = 0; first < s.q_length; first += block) {
    forward_rows(s, head, cut, first);
  }
}

#pragma GCC pop_options

std::size_t scratch_bytes(const AttentionShape& shape) {
  Cutter cutter(nullptr);
  cut_forward(shape, cutter);
  return cutter.bytes();
}

}  // namespace

std::size_t amx_attention_scratch_bytes(const AttentionShape& shape, bool backward) {
  return backward ? amx::backward_scratch_bytes(shape) : scratch_bytes(shape);
}

void amx_attention_forward(const AttentionShape& s, const AmxAttention& tensors,
                           std::byte* scratch) {
  each_unit(s.batch * s.heads, scratch, scratch_bytes(s),
            [&](std::int64_t unit, std::byte* mine) { forward_head(s, tensors, unit, mine); });
}

}  // namespace concordat::device
