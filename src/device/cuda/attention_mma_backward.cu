// Attention backward on tensor cores, for models that multiply in bf16 or f16. As in f32
// (attention_backward.cu) one kernel owns keys, one queries, so that nothing is added up by two
// blocks and the order is fixed. Each makes the weights and the scores' gradients of its 16 rows a
// warp in registers, from where they go into the products that are summed up.
#include "device/cuda/attention_mma.cuh"
#include "device/cuda/cuda_kernels.hpp"

namespace concordat::device::cuda {
namespace {

/// Rows of the other side in shared memory: what 48 KiB leave beside the 64 rows that are owned.
template <int dims>
constexpr int walked = dims <= 64 ? 32 : 16;

/// Differences of positions, as far as a tile can tell them apart.
constexpr int far = 4096;
__device__ __forceinline__ int within(std::int64_t difference) {
  return static_cast<int>(difference < -far ? -far : (difference > far ? far : difference));
}

struct Inputs {
  Rows<float> grad_out, q, k, v, lse, delta;
  bool packed;
};

/// Both tiles of one side: queries and their gradients of out, or keys and values.
template <int rows, int dims>
struct Side {
  NarrowTile<rows, dims> factors;
  NarrowTile<rows, dims> values;

  template <typename T>
  __device__ __forceinline__ void fill(const Rows<float>& of_factors, const Rows<float>& of_values,
                                       std::int64_t begin, std::int64_t end, std::int64_t column,
                                       const Geometry& g, bool packed) {
    factors.template fill<T>(of_factors, begin, end, column, g.head_dim, packed);
    values.template fill<T>(of_values, begin, end, column, g.head_dim, packed);
  }
};

/// q . k and grad_out . v of a warp's rows with all rows of the other side.
template <int columns>
struct Scores {
  float products[columns / 8][4] = {};
  float slopes[columns / 8][4] = {};

  template <typename T, int dims>
  __device__ __forceinline__ void make(Side<block_rows, dims>& mine, int first,
                                       Side<columns, dims>& other) {
#pragma unroll
    for (int part = 0; part < dims / 16; ++part) {
      std::uint32_t left[4];
      mine.factors.left(left, first, part);
      add_transposed<T>(products, left, other.factors, part);
      mine.values.left(left, first, part);
      add_transposed<T>(slopes, left, other.values, part);
    }
  }
  /// Element i of part j: the weight, and the gradient of the score.
  __device__ __forceinline__ void finish(int j, int i, bool visible, float lse, float delta,
                                         float scale) {
    const float p = visible ? exp2f(products[j][i] * (scale * log2_e) - lse * log2_e) : 0.0F;
    products[j][i] = p;
    slopes[j][i] = p * (slopes[j][i] - delta) * scale;
  }
};

template <int parts>
__device__ __forceinline__ void store_sums(const Rows<float>& to, const float (&sums)[parts][4],
                                           std::int64_t first, std::int64_t end,
                                           std::int64_t column, std::int64_t head_dim,
                                           bool accumulate) {
  const int width = static_cast<int>(head_dim);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const std::int64_t row = first + row_of(2 * half);
    if (row >= end) continue;
#pragma unroll
    for (int n = 0; n < parts; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        const int d = column_of(n, i);
        if (d >= width) continue;
        const float before = accumulate ? to.load(row, column + d) : 0.0F;
        to.store(row, column + d, before + sums[n][i]);
      }
    }
  }
}

template <typename T, int dims>
__global__ void __launch_bounds__(lanes* tile_warps, 1)
    keys_kernel(Rows<float> grad_k, Rows<float> grad_v, Inputs in, Geometry g, bool accumulate) {
  constexpr int count = walked<dims>;
  __shared__ Side<block_rows, dims> owned_keys;
  __shared__ Side<count, dims> queries;
  __shared__ Shared<float, count> lse;
  __shared__ Shared<float, count> delta;
  const std::int64_t kv_head = blockIdx.y;
  const std::int64_t batch = blockIdx.z;
  const std::int64_t kv_column = kv_head * g.head_dim;
  const std::int64_t first = std::int64_t{blockIdx.x} * block_rows;
  const std::int64_t first_key = batch * g.k_length;
  const std::int64_t end_key = first_key + g.k_length;
  const std::int64_t first_query = batch * g.q_length;
  const int mine = static_cast<int>(threadIdx.y) * warp_rows;
  owned_keys.template fill<T>(in.k, in.v, first_key + first, end_key, kv_column, g, in.packed);

  float sum_k[dims / 8][4] = {};
  float sum_v[dims / 8][4] = {};
  const std::int64_t sharers = g.heads / g.kv_heads;
  // Queries before the first key of the block see none of it.
  std::int64_t begin = g.causal ? first + g.k_begin - g.q_begin : 0;
  begin = begin < 0 ? 0 : begin;
  for (std::int64_t head = kv_head * sharers; head < (kv_head + 1) * sharers; ++head) {
    for (std::int64_t at = begin; at < g.q_length; at += count) {
      __syncthreads();
      queries.template fill<T>(in.q, in.grad_out, first_query + at, first_query + g.q_length,
                               head * g.head_dim, g, in.packed);
      if (const int i = static_cast<int>(threadIdx.y * lanes + threadIdx.x); i < count) {
        const bool there = at + i < g.q_length;
        lse.store(i, there ? in.lse.load(first_query + at + i, head) : 0.0F);
        delta.store(i, there ? in.delta.load(first_query + at + i, head) : 0.0F);
      }
      __syncthreads();
      Scores<count> scores;
      scores.template make<T, dims>(owned_keys, mine, queries);
      // What a query sees, in 32 bits: rows behind the last key are stored nowhere.
      const int there = within(g.q_length - at);
      const int ahead = g.causal ? within(first + mine + g.k_begin - at - g.q_begin) : -far;
#pragma unroll
      for (int j = 0; j < count / 8; ++j) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int query = column_of(j, i);
          const bool visible = query < there && query - row_of(i) >= ahead;
          scores.finish(j, i, visible, lse.load(query), delta.load(query), g.scale);
        }
      }
      add_weighted<T>(sum_v, scores.products, queries.values);
      add_weighted<T>(sum_k, scores.slopes, queries.factors);
    }
  }
  store_sums(grad_k, sum_k, first_key + first + mine, end_key, kv_column, g.head_dim, accumulate);
  store_sums(grad_v, sum_v, first_key + first + mine, end_key, kv_column, g.head_dim, accumulate);
}

template <typename T, int dims>
__global__ void __launch_bounds__(lanes* tile_warps, 1)
    queries_kernel(Rows<float> grad_q, Inputs in, Geometry g, bool accumulate) {
  constexpr int count = walked<dims>;
  __shared__ Side<block_rows, dims> owned_queries;
  __shared__ Side<count, dims> keys;
  const std::int64_t head = blockIdx.y;
  const std::int64_t batch = blockIdx.z;
  const std::int64_t column = head * g.head_dim;
  const std::int64_t kv_column = g.kv_head(head) * g.head_dim;
  const std::int64_t first = std::int64_t{blockIdx.x} * block_rows;
  const std::int64_t first_query = batch * g.q_length;
  const std::int64_t end_query = first_query + g.q_length;
  const std::int64_t first_key = batch * g.k_length;
  const int mine = static_cast<int>(threadIdx.y) * warp_rows;
  owned_queries.template fill<T>(in.q, in.grad_out, first_query + first, end_query, column, g,
                                 in.packed);
  std::int64_t seen[2];
  float lse[2];
  float delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const std::int64_t i = first + mine + row_of(2 * half);
    seen[half] = i < g.q_length ? g.visible(i) : 0;
    lse[half] = seen[half] > 0 ? in.lse.load(first_query + i, head) : 0.0F;
    delta[half] = seen[half] > 0 ? in.delta.load(first_query + i, head) : 0.0F;
  }
  const std::int64_t last = first + block_rows < g.q_length ? first + block_rows : g.q_length;
  const std::int64_t most = g.visible(last - 1);
  float sums[dims / 8][4] = {};
  for (std::int64_t at = 0; at < most; at += count) {
    __syncthreads();
    keys.template fill<T>(in.k, in.v, first_key + at, first_key + g.k_length, kv_column, g,
                          in.packed);
    __syncthreads();
    Scores<count> scores;
    scores.template make<T, dims>(owned_queries, mine, keys);
#pragma unroll
    for (int j = 0; j < count / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool visible = at + column_of(j, i) < seen[i / 2];
        scores.finish(j, i, visible, lse[i / 2], delta[i / 2], g.scale);
      }
    }
    add_weighted<T>(sums, scores.slopes, keys.factors);
  }
  store_sums(grad_q, sums, first_query + first + mine, end_query, column, g.head_dim, accumulate);
}

}  // namespace

void CudaKernels::narrow_attention_backward(const Tensor& grad_q, const Tensor& grad_k,
                                            const Tensor& grad_v, const Tensor& grad_out,
                                            const Tensor& q, const Tensor& k, const Tensor& v,
                                            const Tensor& lse, const Tensor& delta,
                                            const AttentionShape& shape, const Write& write) {
  Inputs in{rows<float>(grad_out), rows<float>(q),     rows<float>(k), rows<float>(v),
            rows<float>(lse),      rows<float>(delta), false};
  in.packed = packed_heads(shape, in.grad_out, in.q, in.k, in.v);
  const bool accumulate = write == Write::accumulate;
  with_narrow_head(shape, [&]<typename T, int dims>() {
    launch(stream(), owner_grid(shape.k_length, shape.kv_heads, shape.batch), {lanes, tile_warps},
           &keys_kernel<T, dims>, rows<float>(grad_k), rows<float>(grad_v), in, Geometry(shape),
           accumulate);
    launch(stream(), owner_grid(shape.q_length, shape.heads, shape.batch), {lanes, tile_warps},
           &queries_kernel<T, dims>, rows<float>(grad_q), in, Geometry(shape), accumulate);
  });
}

}  // namespace concordat::device::cuda
