// Softmax over tiles of keys as in FlashAttention (Dao et al., 2022, arXiv:2205.14135), cut for a
// core's second-level cache.
#include "device/cpu/amx_attention.hpp"

#include <omp.h>

#include <cmath>
#include <limits>

#include "device/cpu/amx_tiles.hpp"

namespace concordat::device {
namespace {

constexpr std::int64_t key_tile = 256;    // a multiple of a block
constexpr std::int64_t query_tile = 256;  // of the backward
// Blocks that are multiplied before the first of them is read: what a tile has just written is slow
// to read.
constexpr std::int64_t together = 4;
constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

using amx::block;
constexpr std::int64_t pair_size = 2 * amx::tile_elements;  // of one step of a block

std::int64_t blocks(std::int64_t count) { return (count + block - 1) / block; }

// Keys that the query at row i sees: the first ones of the chunk.
std::int64_t visible(const AttentionShape& s, std::int64_t i) {
  if (!s.causal) return s.k_length;
  return std::clamp<std::int64_t>(s.q_begin + i - s.k_begin + 1, 0, s.k_length);
}

// Hands out consecutive parts of a thread's scratch, each aligned to 64 bytes.
class Cutter {
 public:
  explicit Cutter(std::byte* at) : at_(at) {}
  template <typename T>
  T* take(std::int64_t count) {
    auto* const taken = reinterpret_cast<T*>(at_);
    at_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return taken;
  }
  std::byte* at() const { return at_; }

 private:
  std::byte* at_;
};

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

// Rows of queries are columns here: a block of scores is [32 keys, 32 queries].
struct BackwardScratch {
  std::uint16_t *k_left, *v_left, *k_right;                      // of the keys' head
  std::uint16_t *q_turned, *grad_turned, *q_right, *grad_right;  // of one head
  std::uint16_t *p_left, *ds_left, *ds_turned;                   // of one tile
  std::uint16_t* narrow;                                         // one block
  float *scores, *grad_p, *grad_q, *grad_k, *grad_v, *delta;
};

BackwardScratch cut_backward(const AttentionShape& s, Cutter& cutter) {
  const std::int64_t depth = blocks(s.head_dim);
  const std::int64_t keys = blocks(s.k_length);
  const std::int64_t queries = blocks(s.q_length);
  const std::int64_t tile =
      std::min(queries, query_tile / block) * std::min(keys, key_tile / block);
  BackwardScratch cut{};
  for (auto** each : {&cut.k_left, &cut.v_left, &cut.k_right}) {
    *each = cutter.take<std::uint16_t>(keys * depth * pair_size);
  }
  for (auto** each : {&cut.q_turned, &cut.grad_turned, &cut.q_right, &cut.grad_right}) {
    *each = cutter.take<std::uint16_t>(queries * depth * pair_size);
  }
  for (auto** each : {&cut.p_left, &cut.ds_left, &cut.ds_turned}) {
    *each = cutter.take<std::uint16_t>(tile * pair_size);
  }
  cut.narrow = cutter.take<std::uint16_t>(block * block);
  cut.scores = cutter.take<float>(together * block * block);
  cut.grad_p = cutter.take<float>(together * block * block);
  cut.grad_q = cutter.take<float>(std::min(queries * block, query_tile) * depth * block);
  cut.grad_k = cutter.take<float>(keys * block * depth * block);
  cut.grad_v = cutter.take<float>(keys * block * depth * block);
  cut.delta = cutter.take<float>(2 * queries * block);
  return cut;
}

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
void fetch(const AmxRows& from, std::int64_t row, std::int64_t rows, std::int64_t column) {
  for (std::int64_t i = row; i < std::min(row + amx::tile_rows, rows); ++i) {
    __builtin_prefetch(from.data + i * from.stride + column);
    __builtin_prefetch(from.data + i * from.stride + column + 16);
  }
}

// Left blocks of the rows [rows, width]: block by block, in each step by step.
void pack_left_rows(std::uint16_t* to, const AmxRows& from, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; row += block) {
    for (std::int64_t d = 0; d < width; d += block) {
      for (std::int64_t half = row; half < row + block; half += amx::tile_rows) {
        fetch(from, half + amx::tile_rows, rows, d);
        amx::pack_left(to, from.data + half * from.stride + d, from.stride, false, rows - half,
                       width - d);
        to += amx::tile_elements;
      }
    }
  }
}

// Right strips of the rows' transpose [width, rows]: strip by strip of rows, steps along width.
void pack_right_turned(std::uint16_t* to, const AmxRows& from, std::int64_t rows,
                       std::int64_t width) {
  for (std::int64_t row = 0; row < rows; row += block) {
    for (std::int64_t d = 0; d < width; d += block) {
      for (std::int64_t half = row; half < row + block; half += amx::tile_rows) {
        fetch(from, half + amx::tile_rows, rows, d);
        amx::pack_right(to, from.data + half * from.stride + d, from.stride, true, width - d,
                        rows - half);
        to += amx::tile_elements;
      }
    }
  }
}

// Right strips of the rows [rows, width] themselves: strip by strip of width, steps along rows.
void pack_right_rows(std::uint16_t* to, const AmxRows& from, std::int64_t rows,
                     std::int64_t width) {
  for (std::int64_t d = 0; d < width; d += block) {
    for (std::int64_t row = 0; row < rows; row += block) {
      for (std::int64_t half = d; half < d + block; half += amx::tile_rows) {
        amx::pack_right(to, from.data + row * from.stride + half, from.stride, false, rows - row,
                        width - half);
        to += amx::tile_elements;
      }
    }
  }
}

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

// Row i of [rows, count], or that much more of it.
void store_row(const AmxRows& rows, std::int64_t i, std::int64_t count, const float* from,
               float factor, bool accumulate) {
  float* const to = rows.data + i * rows.stride;
  constexpr std::int64_t ahead = 8;  // rows; a fetch never faults
  for (std::int64_t j = 0; j < count; j += 16) {
    __builtin_prefetch(to + ahead * rows.stride + j, 1);
    const __mmask16 mask = amx::first_16(count - j);
    __m512 value = _mm512_mul_ps(_mm512_load_ps(from + j), _mm512_set1_ps(factor));
    if (accumulate) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, to + j));
    _mm512_mask_storeu_ps(to + j, mask, value);
  }
}

AmxRows at(const AmxRows& rows, std::int64_t row, std::int64_t column) {
  return {rows.data + row * rows.stride + column, rows.stride};
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

// Of a block of scores [32 keys, 32 queries] and of the gradient of its weights: the weights, and
// the gradient of the scores, as rows of left blocks, and the latter's transpose.
struct BlockPlace {
  std::int64_t key, query;  // of the chunk
  const float *scores, *grad_p;
  std::uint16_t *p, *ds, *ds_turned;
};

void backward_block(const AttentionShape& s, const BackwardScratch& cut, const BlockPlace& place,
                    const float* lse) {
  const __m512 scale = _mm512_set1_ps(s.scale);
  __m512 shift[2], pull[2];
  __m512i seen[2];
  for (std::int64_t half = 0; half < 2; ++half) {
    shift[half] = _mm512_load_ps(lse + place.query + 16 * half);
    pull[half] = _mm512_load_ps(cut.delta + place.query + 16 * half);
    alignas(64) std::int32_t counts[16];
    for (std::int64_t j = 0; j < 16; ++j) {
      const std::int64_t query = place.query + 16 * half + j;
      counts[j] = query < s.q_length ? static_cast<std::int32_t>(std::min<std::int64_t>(
                                           visible(s, query) - place.key, block))
                                     : 0;
    }
    seen[half] = _mm512_load_si512(counts);
  }
  for (std::int64_t i = 0; i < block; ++i) {
    __m512 weight[2], grad[2];
    for (std::int64_t half = 0; half < 2; ++half) {
      const __mmask16 mask =
          _mm512_cmpgt_epi32_mask(seen[half], _mm512_set1_epi32(static_cast<int>(i)));
      const __m512 score = _mm512_load_ps(place.scores + i * block + 16 * half);
      weight[half] =
          _mm512_maskz_mov_ps(mask, exponential(_mm512_fmsub_ps(score, scale, shift[half])));
      const __m512 grad_p = _mm512_load_ps(place.grad_p + i * block + 16 * half);
      grad[half] = _mm512_maskz_mul_ps(mask, _mm512_mul_ps(weight[half], scale),
                                       _mm512_sub_ps(grad_p, pull[half]));
    }
    const std::int64_t row = i / 16 * amx::tile_elements + i % 16 * amx::tile_depth;
    _mm512_store_si512(place.p + row,
                       reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(weight[1], weight[0])));
    const auto narrow = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(grad[1], grad[0]));
    _mm512_store_si512(place.ds + row, narrow);
    _mm512_store_si512(cut.narrow + i * block, narrow);
  }
  for (std::int64_t half = 0; half < 2; ++half) {
    amx::pack_left(place.ds_turned + half * amx::tile_elements, cut.narrow + 16 * half, block, true,
                   16, block);
  }
}

// to [32, width] += left right, for left of these steps.
void add_product(float* to, const std::uint16_t* left, const std::uint16_t* right,
                 std::int64_t right_steps, std::int64_t steps, std::int64_t depth) {
  for (std::int64_t d = 0; d < depth; ++d) {
    amx::multiply_block({to + d * block, depth * block, true}, left,
                        right + d * right_steps * pair_size, steps);
  }
}

// One tile of queries against one of keys: [first, first + queries) and [key, key + keys), blocks.
void backward_tile(const AttentionShape& s, const BackwardScratch& cut, std::int64_t first,
                   std::int64_t queries, std::int64_t key, std::int64_t keys, float* grad_q) {
  const std::int64_t depth = blocks(s.head_dim);
  const std::int64_t width = depth * block;
  const float* const lse = cut.delta + blocks(s.q_length) * block;
  // Blocks of queries before this one see none of a block of keys.
  const auto first_seeing = [&](std::int64_t k) {
    std::int64_t q = 0;
    while (q < queries &&
           visible(s, std::min((first + q) * block + block, s.q_length) - 1) <= (key + k) * block) {
      ++q;
    }
    return q;
  };
  for (std::int64_t k = 0; k < keys; ++k) {
    const std::int64_t from = first_seeing(k);
    std::uint16_t* const turned = cut.ds_turned + k * pair_size;
    for (std::int64_t q = 0; q < from; ++q) {
      std::fill_n(turned + q * keys * pair_size, pair_size, std::uint16_t{0});
    }
    for (std::int64_t q = from; q < queries; q += together) {
      const std::int64_t end = std::min(q + together, queries);
      for (std::int64_t i = q; i < end; ++i) {
        amx::multiply_block({cut.scores + (i - q) * block * block, block},
                            cut.k_left + (key + k) * depth * pair_size,
                            cut.q_turned + (first + i) * depth * pair_size, depth);
        amx::multiply_block({cut.grad_p + (i - q) * block * block, block},
                            cut.v_left + (key + k) * depth * pair_size,
                            cut.grad_turned + (first + i) * depth * pair_size, depth);
      }
      for (std::int64_t i = q; i < end; ++i) {
        backward_block(s, cut,
                       {.key = (key + k) * block,
                        .query = (first + i) * block,
                        .scores = cut.scores + (i - q) * block * block,
                        .grad_p = cut.grad_p + (i - q) * block * block,
                        .p = cut.p_left + i * pair_size,
                        .ds = cut.ds_left + i * pair_size,
                        .ds_turned = turned + i * keys * pair_size},
                       lse);
      }
    }
    if (from == queries) continue;
    add_product(cut.grad_v + (key + k) * block * width, cut.p_left + from * pair_size,
                cut.grad_right + (first + from) * pair_size, blocks(s.q_length), queries - from,
                depth);
    add_product(cut.grad_k + (key + k) * block * width, cut.ds_left + from * pair_size,
                cut.q_right + (first + from) * pair_size, blocks(s.q_length), queries - from,
                depth);
  }
  for (std::int64_t q = 0; q < queries; ++q) {
    add_product(grad_q + q * block * width, cut.ds_turned + q * keys * pair_size,
                cut.k_right + key * pair_size, blocks(s.k_length), keys, depth);
  }
}

// One head's queries; the gradients of its keys are added up in scratch.
void backward_head(const AttentionShape& s, const AmxAttention& head,
                   const AmxAttentionGradients& grads, const BackwardScratch& cut) {
  const std::int64_t width = blocks(s.head_dim) * block;
  const std::int64_t all_queries = blocks(s.q_length);
  const std::int64_t all_keys = blocks(s.k_length);
  float* const lse = cut.delta + all_queries * block;
  std::fill_n(cut.delta, 2 * all_queries * block, 0.0F);
  for (std::int64_t i = 0; i < s.q_length; ++i) {
    const float* const g = at(grads.out, i, 0).data;
    const float* const o = at(head.out, i, 0).data;
    __m512 sum = _mm512_setzero_ps();
    for (std::int64_t j = 0; j < s.head_dim; j += 16) {
      const __mmask16 mask = amx::first_16(s.head_dim - j);
      sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, g + j), _mm512_maskz_loadu_ps(mask, o + j),
                            sum);
    }
    cut.delta[i] = _mm512_reduce_add_ps(sum);
    lse[i] = *at(head.lse, i, 0).data;
  }
  pack_right_turned(cut.q_turned, head.q, s.q_length, s.head_dim);
  pack_right_turned(cut.grad_turned, grads.out, s.q_length, s.head_dim);
  pack_right_rows(cut.q_right, head.q, s.q_length, s.head_dim);
  pack_right_rows(cut.grad_right, grads.out, s.q_length, s.head_dim);
  for (std::int64_t first = 0; first < all_queries; first += query_tile / block) {
    const std::int64_t queries = std::min(query_tile / block, all_queries - first);
    const std::int64_t last_row = std::min((first + queries) * block, s.q_length) - 1;
    const std::int64_t seen = blocks(visible(s, last_row));
    std::fill_n(cut.grad_q, queries * block * width, 0.0F);
    for (std::int64_t key = 0; key < std::min(seen, all_keys); key += key_tile / block) {
      backward_tile(s, cut, first, queries, key, std::min(key_tile / block, seen - key),
                    cut.grad_q);
    }
    for (std::int64_t i = first * block; i <= last_row; ++i) {
      store_row(grads.q, i, s.head_dim, cut.grad_q + (i - first * block) * width, 1.0F,
                grads.accumulate);
    }
  }
}

// The heads that share one head of keys.
void backward_group(const AttentionShape& s, const AmxAttention& tensors,
                    const AmxAttentionGradients& gradients, std::int64_t unit, std::byte* scratch) {
  Cutter cutter(scratch);
  const BackwardScratch cut = cut_backward(s, cutter);
  const std::int64_t group = s.heads / s.kv_heads;
  const std::int64_t queries = unit / s.kv_heads * s.q_length;
  const std::int64_t keys = unit / s.kv_heads * s.k_length;
  const std::int64_t kv = unit % s.kv_heads * s.head_dim;
  const std::int64_t width = blocks(s.head_dim) * block;
  pack_left_rows(cut.k_left, at(tensors.k, keys, kv), s.k_length, s.head_dim);
  pack_left_rows(cut.v_left, at(tensors.v, keys, kv), s.k_length, s.head_dim);
  pack_right_rows(cut.k_right, at(tensors.k, keys, kv), s.k_length, s.head_dim);
  std::fill_n(cut.grad_k, blocks(s.k_length) * block * width, 0.0F);
  std::fill_n(cut.grad_v, blocks(s.k_length) * block * width, 0.0F);
  for (std::int64_t h = unit % s.kv_heads * group; h < (unit % s.kv_heads + 1) * group; ++h) {
    const std::int64_t column = h * s.head_dim;
    backward_head(s,
                  {.q = at(tensors.q, queries, column),
                   .k = {},
                   .v = {},
                   .out = at(tensors.out, queries, column),
                   .lse = at(tensors.lse, queries, h)},
                  {.out = at(gradients.out, queries, column),
                   .q = at(gradients.q, queries, column),
                   .k = {},
                   .v = {},
                   .accumulate = gradients.accumulate},
                  cut);
  }
  for (std::int64_t i = 0; i < s.k_length; ++i) {
    store_row(at(gradients.k, keys, kv), i, s.head_dim, cut.grad_k + i * width, 1.0F,
              gradients.accumulate);
    store_row(at(gradients.v, keys, kv), i, s.head_dim, cut.grad_v + i * width, 1.0F,
              gradients.accumulate);
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

template <typename Work>
void each_unit(std::int64_t units, std::byte* scratch, std::size_t bytes, Work&& work) {
  const int threads = omp_in_parallel() != 0 ? 1 : omp_get_max_threads();
#pragma omp parallel num_threads(threads)
  {
    const amx::TileScope tiles;
    std::byte* const mine = scratch + static_cast<std::size_t>(omp_get_thread_num()) * bytes;
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t unit = 0; unit < units; ++unit) work(unit, mine);
  }
}

}  // namespace

std::size_t amx_attention_scratch_bytes(const AttentionShape& shape, bool backward) {
  Cutter cutter(nullptr);
  if (backward) {
    cut_backward(shape, cutter);
  } else {
    cut_forward(shape, cutter);
  }
  return static_cast<std::size_t>(cutter.at() - static_cast<std::byte*>(nullptr));
}

void amx_attention_forward(const AttentionShape& s, const AmxAttention& tensors,
                           std::byte* scratch) {
  each_unit(s.batch * s.heads, scratch, amx_attention_scratch_bytes(s, false),
            [&](std::int64_t unit, std::byte* mine) { forward_head(s, tensors, unit, mine); });
}

void amx_attention_backward(const AttentionShape& s, const AmxAttention& tensors,
                            const AmxAttentionGradients& gradients, std::byte* scratch) {
  each_unit(s.batch * s.kv_heads, scratch, amx_attention_scratch_bytes(s, true),
            [&](std::int64_t unit, std::byte* mine) {
              backward_group(s, tensors, gradients, unit, mine);
            });
}

}  // namespace concordat::device
