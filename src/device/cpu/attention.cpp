// Attention in tiles: one tile of scores per thread, streaming softmax over tiles of keys. Threads
// own whole (sequence, head) pairs, so results do not depend on how many there are.
#include <cmath>
#include <limits>

#include "device/cpu/amx_attention.hpp"
#include "device/cpu/cpu_kernels.hpp"
#include "device/cpu/parallel_rows.hpp"
#include "device/cpu/vector_kernels.hpp"

namespace concordat::device {
namespace {

// Scores of one tile stay in the L2 cache; a causal tile of queries skips the keys after it.
constexpr std::int64_t query_tile = 64;
constexpr std::int64_t key_tile = 256;
constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

std::size_t floats_per_thread(const AttentionShape& s, bool backward) {
  std::int64_t rows = std::min(query_tile, s.q_length);
  std::int64_t tile = rows * std::min(key_tile, s.k_length);
  std::int64_t floats = (backward ? 2 * tile : tile) + 2 * rows;
  return static_cast<std::size_t>((floats + 15) / 16 * 16);
}

// The rows of one head of one sequence.
struct Head {
  float* data;
  std::int64_t stride;
  float* row(std::int64_t i) const { return data + i * stride; }
};

Head head_of(const Tensor& t, std::int64_t first_row, std::int64_t column) {
  auto all = matrix<float>(t);
  return {all.row(first_row) + column, all.stride};
}

// Keys that the query at row i sees: the first ones of the chunk.
std::int64_t visible(const AttentionShape& s, std::int64_t i) {
  if (!s.causal) return s.k_length;
  return std::clamp<std::int64_t>(s.q_begin + i - s.k_begin + 1, 0, s.k_length);
}

// What one head's forward reads and writes.
struct ForwardHead {
  Head q, k, v, out, lse;
};

void forward_tile(const AttentionShape& s, const ForwardHead& head, std::int64_t first,
                  std::int64_t rows, float* scratch) {
  const VectorKernels& vector = vector_kernels();
  float* largest = scratch;
  float* total = scratch + rows;
  float* scores = scratch + 2 * rows;
  const std::int64_t keys = visible(s, first + rows - 1);
  std::fill_n(largest, rows, minus_infinity);
  std::fill_n(total, rows, 0.0F);
  for (std::int64_t i = 0; i < rows; ++i) {
    if (keys == 0) std::fill_n(head.out.row(first + i), s.head_dim, 0.0F);
  }
  for (std::int64_t key = 0; key < keys; key += key_tile) {
    const std::int64_t width = std::min(key_tile, keys - key);
    tile_product({.m = rows, .n = width, .k = s.head_dim, .b_transposed = true, .alpha = s.scale},
                 head.q.row(first), head.q.stride, head.k.row(key), head.k.stride, scores, width);
    for (std::int64_t i = 0; i < rows; ++i) {
      float* p = scores + i * width;
      const std::int64_t seen = std::clamp<std::int64_t>(visible(s, first + i) - key, 0, width);
      std::fill(p + seen, p + width, 0.0F);
      if (seen == 0) continue;
      const float top = std::max(largest[i], vector.max(p, seen));
      const float shrink = key == 0 ? 0.0F : std::exp(largest[i] - top);
      total[i] = total[i] * shrink + vector.exp_shifted(p, p, top, seen);
      if (key > 0 && shrink != 1.0F) vector.scale(head.out.row(first + i), shrink, s.head_dim);
      largest[i] = top;
    }
    tile_product({.m = rows, .n = s.head_dim, .k = width, .beta = key == 0 ? 0.0F : 1.0F}, scores,
                 width, head.v.row(key), head.v.stride, head.out.row(first), head.out.stride);
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    const bool any = total[i] > 0.0F;
    if (any) vector.scale(head.out.row(first + i), 1.0F / total[i], s.head_dim);
    *head.lse.row(first + i) = any ? largest[i] + std::log(total[i]) : minus_infinity;
  }
}

struct BackwardHead {
  Head q, k, v, out, lse, grad_out, grad_q, grad_k, grad_v;
  bool set_q;   // the gradient of q starts here; false: it is added to
  bool set_kv;  // so do those of k and v: this is the first tile that reaches them
};

void clear(const Head& head, std::int64_t begin, std::int64_t end, std::int64_t width) {
  for (std::int64_t i = begin; i < end; ++i) std::fill_n(head.row(i), width, 0.0F);
}

void backward_tile(const AttentionShape& s, const BackwardHead& head, std::int64_t first,
                   std::int64_t rows, float* scratch) {
  const VectorKernels& vector = vector_kernels();
  float* delta = scratch;
  float* p = scratch + 2 * rows;
  float* grad = p + rows * std::min(key_tile, s.k_length);
  for (std::int64_t i = 0; i < rows; ++i) {
    delta[i] = vector.dot(head.grad_out.row(first + i), head.out.row(first + i), s.head_dim);
  }
  const std::int64_t keys = visible(s, first + rows - 1);
  if (head.set_q && keys == 0) clear(head.grad_q, first, first + rows, s.head_dim);
  if (head.set_kv) {
    clear(head.grad_k, keys, s.k_length, s.head_dim);
    clear(head.grad_v, keys, s.k_length, s.head_dim);
  }
  const float beta_kv = head.set_kv ? 0.0F : 1.0F;
  for (std::int64_t key = 0; key < keys; key += key_tile) {
    const std::int64_t width = std::min(key_tile, keys - key);
    const float beta_q = head.set_q && key == 0 ? 0.0F : 1.0F;
    tile_product({.m = rows, .n = width, .k = s.head_dim, .b_transposed = true, .alpha = s.scale},
                 head.q.row(first), head.q.stride, head.k.row(key), head.k.stride, p, width);
    tile_product({.m = rows, .n = width, .k = s.head_dim, .b_transposed = true},
                 head.grad_out.row(first), head.grad_out.stride, head.v.row(key), head.v.stride,
                 grad, width);
    for (std::int64_t i = 0; i < rows; ++i) {
      float* row = p + i * width;
      float* grad_row = grad + i * width;
      const std::int64_t seen = std::clamp<std::int64_t>(visible(s, first + i) - key, 0, width);
      vector.exp_scaled(row, row, *head.lse.row(first + i), 1.0F, seen);
      vector.softmax_backward(grad_row, row, delta[i], s.scale, seen);
      std::fill(row + seen, row + width, 0.0F);
      std::fill(grad_row + seen, grad_row + width, 0.0F);
    }
    tile_product({.m = width, .n = s.head_dim, .k = rows, .a_transposed = true, .beta = beta_kv}, p,
                 width, head.grad_out.row(first), head.grad_out.stride, head.grad_v.row(key),
                 head.grad_v.stride);
    tile_product({.m = rows, .n = s.head_dim, .k = width, .beta = beta_q}, grad, width,
                 head.k.row(key), head.k.stride, head.grad_q.row(first), head.grad_q.stride);
    tile_product({.m = width, .n = s.head_dim, .k = rows, .a_transposed = true, .beta = beta_kv},
                 grad, width, head.q.row(first), head.q.stride, head.grad_k.row(key),
                 head.grad_k.stride);
  }
}

bool on_tiles(const AttentionShape& s) {
  return s.rounds_to == Dtype::bf16 && Products::uses_tiles();
}

AmxRows rows(const Tensor& t) { return {t.raw<float>(), t.strides()[0]}; }

float* thread_scratch(const Tensor& scratch, const AttentionShape& s, bool backward) {
  return reinterpret_cast<float*>(scratch.raw_bytes()) +
         static_cast<std::size_t>(omp_get_thread_num()) * floats_per_thread(s, backward);
}

}  // namespace

std::size_t CpuKernels::attention_scratch_bytes(const AttentionShape& shape, bool backward) const {
  const auto threads = static_cast<std::size_t>(omp_get_max_threads());
  if (on_tiles(shape)) return threads * amx_attention_scratch_bytes(shape, backward);
  return threads * floats_per_thread(shape, backward) * sizeof(float);
}

void CpuKernels::attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q,
                                   const Tensor& k, const Tensor& v, const AttentionShape& s,
                                   const Tensor& scratch) {
  if (on_tiles(s)) {
    amx_attention_forward(
        s, {.q = rows(q), .k = rows(k), .v = rows(v), .out = rows(out), .lse = rows(lse)},
        scratch.raw_bytes());
    return;
  }
  parallel_rows(s.batch * s.heads, s.q_length * s.k_length,
                [&](std::int64_t begin, std::int64_t end) {
                  float* mine = thread_scratch(scratch, s, false);
                  for (std::int64_t unit = begin; unit < end; ++unit) {
                    const std::int64_t h = unit % s.heads;
                    const std::int64_t queries = unit / s.heads * s.q_length;
                    const std::int64_t keys = unit / s.heads * s.k_length;
                    const std::int64_t kv = h / (s.heads / s.kv_heads) * s.head_dim;
                    const ForwardHead head{.q = head_of(q, queries, h * s.head_dim),
                                           .k = head_of(k, keys, kv),
                                           .v = head_of(v, keys, kv),
                                           .out = head_of(out, queries, h * s.head_dim),
                                           .lse = head_of(lse, queries, h)};
                    for (std::int64_t first = 0; first < s.q_length; first += query_tile) {
                      forward_tile(s, head, first, std::min(query_tile, s.q_length - first), mine);
                    }
                  }
                });
}

void CpuKernels::attention_backward(const Tensor& grad_q, const Tensor& grad_k,
                                    const Tensor& grad_v, const Tensor& grad_out, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& out,
                                    const Tensor& lse, const AttentionShape& s, const Write& write,
                                    const Tensor& scratch) {
  if (on_tiles(s)) {
    amx_attention_backward(
        s, {.q = rows(q), .k = rows(k), .v = rows(v), .out = rows(out), .lse = rows(lse)},
        {.out = rows(grad_out),
         .q = rows(grad_q),
         .k = rows(grad_k),
         .v = rows(grad_v),
         .accumulate = write == Write::accumulate},
        scratch.raw_bytes());
    return;
  }
  const bool set = write == Write::set;
  const std::int64_t group = s.heads / s.kv_heads;
  // The heads that share keys are one thread's: they add to the same rows.
  parallel_rows(s.batch * s.kv_heads, group * s.q_length * s.k_length,
                [&](std::int64_t begin, std::int64_t end) {
                  float* mine = thread_scratch(scratch, s, true);
                  for (std::int64_t unit = begin * group; unit < end * group; ++unit) {
                    const std::int64_t h = unit % s.heads;
                    const std::int64_t queries = unit / s.heads * s.q_length;
                    const std::int64_t keys = unit / s.heads * s.k_length;
                    const std::int64_t kv = h / group * s.head_dim;
                    const std::int64_t column = h * s.head_dim;
                    BackwardHead head{.q = head_of(q, queries, column),
                                      .k = head_of(k, keys, kv),
                                      .v = head_of(v, keys, kv),
                                      .out = head_of(out, queries, column),
                                      .lse = head_of(lse, queries, h),
                                      .grad_out = head_of(grad_out, queries, column),
                                      .grad_q = head_of(grad_q, queries, column),
                                      .grad_k = head_of(grad_k, keys, kv),
                                      .grad_v = head_of(grad_v, keys, kv),
                                      .set_q = set,
                                      .set_kv = set && h % group == 0};
                    // From the last queries, which see the most keys, to the first.
                    const std::int64_t tiles = (s.q_length + query_tile - 1) / query_tile;
                    for (std::int64_t tile = tiles; tile-- > 0;) {
                      const std::int64_t first = tile * query_tile;
                      backward_tile(s, head, first, std::min(query_tile, s.q_length - first), mine);
                      head.set_kv = false;
                    }
                  }
                });
}

}  // namespace concordat::device
