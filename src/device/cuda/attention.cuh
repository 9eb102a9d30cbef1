// What the attention kernels share: the geometry of a call and tiles of rows in shared memory.
//
// No T x T matrix is kept: a block holds 32 rows of one side (queries or keys) and walks over the
// other side. Products are made in f32 on CUDA cores; models that multiply in bf16 or f16 take the
// kernels of attention_mma.cuh.
#pragma once

#include "device/cuda/reduce.cuh"
#include "device/cuda/views.cuh"
#include "device/kernels.hpp"

namespace concordat::device::cuda {

constexpr int tile = 32;       // rows that a block owns: one per lane
constexpr int step = 8;        // rows of the other side that it looks at together
constexpr int tile_warps = 4;  // so a warp owns `tile / tile_warps` rows when it accumulates
constexpr int owned = tile / tile_warps;
constexpr int most_head_dim = 128;

struct Geometry {
  std::int64_t heads, kv_heads, head_dim, q_length, k_length, q_begin, k_begin;
  bool causal;
  float scale;

  explicit Geometry(const AttentionShape& s)
      : heads(s.heads),
        kv_heads(s.kv_heads),
        head_dim(s.head_dim),
        q_length(s.q_length),
        k_length(s.k_length),
        q_begin(s.q_begin),
        k_begin(s.k_begin),
        causal(s.causal),
        scale(s.scale) {}
  /// Keys that query i of a sequence sees: the first so many of the chunk.
  __device__ __forceinline__ std::int64_t visible(std::int64_t i) const {
    if (!causal) return k_length;
    const std::int64_t seen = q_begin + i - k_begin + 1;
    return seen < 0 ? 0 : (seen > k_length ? k_length : seen);
  }
  __device__ __forceinline__ std::int64_t kv_head(std::int64_t head) const {
    return head / (heads / kv_heads);
  }
};

/// `count` rows of head_dim numbers. The stride is odd: lanes that read one column of 32 rows meet
/// 32 banks.
template <int count, int dims>
struct TileOf {
  Shared<float, count*(dims + 1)> values;
  __device__ __forceinline__ float load(int row, int d) {
    return values.load(row * (dims + 1) + d);
  }
  __device__ __forceinline__ void store(int row, int d, float value) {
    values.store(row * (dims + 1) + d, value);
  }
  /// Rows [begin, begin + count) of `from`, columns [column, column + dims); zeros from `end` and
  /// from head_dim on. All threads of a block of (lanes, tile_warps) take part.
  __device__ __forceinline__ void fill(const Rows<float>& from, std::int64_t begin,
                                       std::int64_t end, std::int64_t column,
                                       std::int64_t head_dim) {
    for (int row = static_cast<int>(threadIdx.y); row < count; row += tile_warps) {
      for (int d = static_cast<int>(threadIdx.x); d < dims; d += static_cast<int>(lanes)) {
        const bool inside = begin + row < end && d < head_dim;
        store(row, d, inside ? from.load(begin + row, column + d) : 0.0F);
      }
    }
  }
};

/// Calls work.template operator()<dims>() with the least compiled width that holds head_dim.
template <typename Work>
void with_head_dim(std::int64_t head_dim, Work&& work) {
  if (head_dim <= 32) return work.template operator()<32>();
  if (head_dim <= 64) return work.template operator()<64>();
  return work.template operator()<128>();
}

/// Whether the call goes to the kernels of attention_mma.cuh.
inline bool on_tensor_cores(const AttentionShape& shape) {
  return shape.rounds_to == Dtype::bf16 || shape.rounds_to == Dtype::f16;
}

/// @throws Error(device.not_on_this_device) for heads that are too wide.
void require_head_dim(const AttentionShape& shape);

}  // namespace concordat::device::cuda
