// The backward makes the scores again tile by tile, as FlashAttention does (Dao et al., 2022,
// arXiv:2205.14135).
#include "device/cpu/amx_attention_parts.hpp"

namespace concordat::device {
namespace {

using namespace amx;

constexpr std::int64_t query_tile = 256;
// Blocks that are multiplied before the first of them is read: what a tile has just written is slow
// to read.
constexpr std::int64_t together = 4;

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

#pragma GCC pop_options

}  // namespace

std::size_t amx::backward_scratch_bytes(const AttentionShape& shape) {
  Cutter cutter(nullptr);
  cut_backward(shape, cutter);
  return cutter.bytes();
}

void amx_attention_backward(const AttentionShape& s, const AmxAttention& tensors,
                            const AmxAttentionGradients& gradients, std::byte* scratch) {
  each_unit(s.batch * s.kv_heads, scratch, amx::backward_scratch_bytes(s),
            [&](std::int64_t unit, std::byte* mine) {
              backward_group(s, tensors, gradients, unit, mine);
            });
}

}  // namespace concordat::device
