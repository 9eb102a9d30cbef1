// Attention forward on tensor cores, for models that multiply in bf16 or f16 (Dao, 2023). Scores,
// weights and sums of a warp stay in its registers; keys and values come 64 at a time through
// shared memory. Reads k and v once per 64 queries, q and out once.
#include "device/cuda/attention_mma.cuh"
#include "device/cuda/cuda_kernels.hpp"

namespace concordat::device::cuda {
namespace {

constexpr int keys = 64;  // of a tile

__device__ __forceinline__ float minus_infinity() { return -HUGE_VALF; }

/// Over the four lanes that hold a row.
__device__ __forceinline__ float row_max(float value) {
  value = larger(value, __shfl_xor_sync(whole_warp, value, 1));
  return larger(value, __shfl_xor_sync(whole_warp, value, 2));
}
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(whole_warp, value, 1);
  return value + __shfl_xor_sync(whole_warp, value, 2);
}

/// What a lane knows of its two rows (g and g + 8): the largest score so far, in units of log2, and
/// its part of the sum of weights.
struct Running {
  float largest[2] = {minus_infinity(), minus_infinity()};
  float total[2] = {};
};

/// Scores become weights; returns by how much what was summed up shrinks.
template <int parts>
__device__ __forceinline__ void soften(float (&scores)[parts][4], Running& state,
                                       float (&shrink)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float top = minus_infinity();
#pragma unroll
    for (int j = 0; j < parts; ++j) {
      top = larger(top, larger(scores[j][2 * half], scores[j][2 * half + 1]));
    }
    const float largest = larger(state.largest[half], row_max(top));
    const float base = largest == minus_infinity() ? 0.0F : largest;  // no key seen yet
    shrink[half] = exp2f(state.largest[half] - base);
    float sum = 0.0F;
#pragma unroll
    for (int j = 0; j < parts; ++j) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        scores[j][i] = exp2f(scores[j][i] - base);
        sum += scores[j][i];
      }
    }
    state.total[half] = state.total[half] * shrink[half] + sum;
    state.largest[half] = largest;
  }
}

template <typename T, int dims>
__global__ void __launch_bounds__(lanes* tile_warps)
    forward_kernel(Rows<float> out, Rows<float> lse, Rows<float> q, Rows<float> k, Rows<float> v,
                   Geometry g, bool packed) {
  __shared__ NarrowTile<keys, dims> key_tile;
  __shared__ NarrowTile<keys, dims> value_tile;
  const std::int64_t head = blockIdx.y;
  const std::int64_t batch = blockIdx.z;
  const std::int64_t column = head * g.head_dim;
  const std::int64_t kv_column = g.kv_head(head) * g.head_dim;
  const std::int64_t first = std::int64_t{blockIdx.x} * block_rows;
  const std::int64_t first_key = batch * g.k_length;
  const std::int64_t end_query = (batch + 1) * g.q_length;
  const int mine = static_cast<int>(threadIdx.y) * warp_rows;  // the warp's first row of the block

  // The queries pass through the keys' tile into registers.
  std::uint32_t queries[dims / 16][4];
  key_tile.template fill<T>(q, batch * g.q_length + first, end_query, column, g.head_dim, packed);
  __syncthreads();
#pragma unroll
  for (int part = 0; part < dims / 16; ++part) key_tile.left(queries[part], mine, part);

  std::int64_t seen[2];  // keys that this lane's rows see
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const std::int64_t i = first + mine + row_of(2 * half);
    seen[half] = i < g.q_length ? g.visible(i) : 0;
  }
  // The last query of the block, and of the warp, sees most.
  const std::int64_t last = first + block_rows < g.q_length ? first + block_rows : g.q_length;
  const std::int64_t block_most = g.visible(last - 1);
  const std::int64_t warp_last = first + mine + warp_rows < last ? first + mine + warp_rows : last;
  const std::int64_t warp_most = first + mine < last ? g.visible(warp_last - 1) : 0;

  Running state;
  float sums[dims / 8][4] = {};
  for (std::int64_t begin = 0; begin < block_most; begin += keys) {
    __syncthreads();
    key_tile.template fill<T>(k, first_key + begin, first_key + g.k_length, kv_column, g.head_dim,
                              packed);
    value_tile.template fill<T>(v, first_key + begin, first_key + g.k_length, kv_column, g.head_dim,
                                packed);
    __syncthreads();
    if (begin >= warp_most) continue;  // the whole warp
    float scores[keys / 8][4] = {};
#pragma unroll
    for (int part = 0; part < dims / 16; ++part) {
      add_transposed<T>(scores, queries[part], key_tile, part);
    }
#pragma unroll
    for (int j = 0; j < keys / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool visible = begin + column_of(j, i) < seen[i / 2];
        scores[j][i] = visible ? scores[j][i] * (g.scale * log2_e) : minus_infinity();
      }
    }
    float shrink[2];
    soften(scores, state, shrink);
#pragma unroll
    for (int n = 0; n < dims / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[n][i] *= shrink[i / 2];
    }
    add_weighted<T>(sums, scores, value_tile);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float total = row_sum(state.total[half]);
    const std::int64_t i = first + mine + row_of(2 * half);
    if (i >= g.q_length) continue;
    const std::int64_t row = batch * g.q_length + i;
    const bool blind = total == 0.0F;  // a query that sees no key
    const float factor = blind ? 0.0F : 1.0F / total;
    if (threadIdx.x % 4 == 0) {
      lse.store(row, head, blind ? minus_infinity() : state.largest[half] / log2_e + logf(total));
    }
#pragma unroll
    for (int n = 0; n < dims / 8; ++n) {
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        const int d = column_of(n, e);
        if (d < g.head_dim) out.store(row, column + d, sums[n][e] * factor);
      }
    }
  }
}

}  // namespace

void CudaKernels::narrow_attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q,
                                           const Tensor& k, const Tensor& v,
                                           const AttentionShape& shape) {
  const auto queries = rows<float>(q);
  const auto keys_in = rows<float>(k);
  const auto values = rows<float>(v);
  const bool packed = packed_heads(shape, queries, keys_in, values);
  with_narrow_head(shape, [&]<typename T, int dims>() {
    launch(stream(), owner_grid(shape.q_length, shape.heads, shape.batch), {lanes, tile_warps},
           &forward_kernel<T, dims>, rows<float>(out), rows<float>(lse), queries, keys_in, values,
           Geometry(shape), packed);
  });
}

}  // namespace concordat::device::cuda
