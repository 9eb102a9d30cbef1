// Attention, backward. With p = exp(score - lse) and delta = grad_out . out:
// grad_v += p grad_out, grad_score = p (grad_out . v - delta) scale, then through q k^T.
//
// Two kernels, each of which owns what it adds up: one 32 keys (grad_k, grad_v, over all queries of
// the heads that share them), one 32 queries (grad_q, over their keys). So there are no atomic
// additions and the order is fixed. Scores are made twice.
#include "device/cuda/attention.cuh"
#include "device/cuda/cuda_kernels.hpp"

namespace concordat::device::cuda {
namespace {

/// delta: [batch * q_length, heads]. A warp takes a row of a head.
__global__ void delta_kernel(Rows<float> delta, Rows<float> grad_out, Rows<float> out,
                             std::int64_t head_dim) {
  const std::int64_t row = blockIdx.x;
  const std::int64_t head = blockIdx.y;
  float sum = 0.0F;
  for (std::int64_t d = threadIdx.x; d < head_dim; d += lanes) {
    sum += grad_out.load(row, head * head_dim + d) * out.load(row, head * head_dim + d);
  }
  sum = warp_sum(sum);
  if (threadIdx.x == 0) delta.store(row, head, sum);
}

/// Inputs of both kernels.
struct Inputs {
  Rows<float> grad_out, q, k, v, lse, delta;
};

/// Weight and gradient of the score of one pair, from rows in shared memory.
struct Pair {
  float p = 0.0F;
  float ds = 0.0F;
};
template <int dims, typename Queries, typename Keys>
__device__ __forceinline__ Pair pair_of(Queries& q, Queries& grad, int i, Keys& k, Keys& v, int j,
                                        float lse, float delta, float scale) {
  float score = 0.0F;
  float slope = 0.0F;
  for (int d = 0; d < dims; ++d) {
    score += q.load(i, d) * k.load(j, d);
    slope += grad.load(i, d) * v.load(j, d);
  }
  const float p = expf(score * scale - lse);
  return {p, p * (slope - delta) * scale};
}

template <int dims>
__global__ void __launch_bounds__(lanes* tile_warps)
    keys_kernel(Rows<float> grad_k, Rows<float> grad_v, Inputs in, Geometry g, bool accumulate) {
  __shared__ TileOf<tile, dims> keys;
  __shared__ TileOf<tile, dims> values;
  __shared__ TileOf<step, dims> queries;
  __shared__ TileOf<step, dims> grads;
  __shared__ Shared<float, step * tile> weights;
  __shared__ Shared<float, step * tile> slopes;
  const int lane = static_cast<int>(threadIdx.x);
  const int warp = static_cast<int>(threadIdx.y);
  const std::int64_t kv_head = blockIdx.y;
  const std::int64_t batch = blockIdx.z;
  const std::int64_t first = std::int64_t{blockIdx.x} * tile;
  const std::int64_t first_key = batch * g.k_length;
  const std::int64_t end_key = first_key + g.k_length;
  const std::int64_t end_query = (batch + 1) * g.q_length;
  keys.fill(in.k, first_key + first, end_key, kv_head * g.head_dim, g.head_dim);
  values.fill(in.v, first_key + first, end_key, kv_head * g.head_dim, g.head_dim);

  float sum_k[owned][dims / 32] = {};
  float sum_v[owned][dims / 32] = {};
  const std::int64_t sharers = g.heads / g.kv_heads;
  // Queries before the first key of the tile see none of it.
  std::int64_t begin = g.causal ? first + g.k_begin - g.q_begin : 0;
  begin = begin < 0 ? 0 : begin;
  for (std::int64_t head = kv_head * sharers; head < (kv_head + 1) * sharers; ++head) {
    for (std::int64_t at = begin; at < g.q_length; at += step) {
      const std::int64_t row = batch * g.q_length + at;
      __syncthreads();
      queries.fill(in.q, row, end_query, head * g.head_dim, g.head_dim);
      grads.fill(in.grad_out, row, end_query, head * g.head_dim, g.head_dim);
      __syncthreads();
      for (int i = warp; i < step; i += tile_warps) {
        const bool pair = at + i < g.q_length && first + lane < g.visible(at + i);
        const Pair both =
            pair ? pair_of<dims>(queries, grads, i, keys, values, lane, in.lse.load(row + i, head),
                                 in.delta.load(row + i, head), g.scale)
                 : Pair{};
        weights.store(i * tile + lane, both.p);
        slopes.store(i * tile + lane, both.ds);
      }
      __syncthreads();
#pragma unroll
      for (int mine = 0; mine < owned; ++mine) {
#pragma unroll
        for (int part = 0; part < dims / 32; ++part) {
          float add_k = 0.0F;
          float add_v = 0.0F;
          for (int i = 0; i < step; ++i) {
            const int pair = i * tile + warp * owned + mine;
            add_k += slopes.load(pair) * queries.load(i, part * 32 + lane);
            add_v += weights.load(pair) * grads.load(i, part * 32 + lane);
          }
          sum_k[mine][part] += add_k;
          sum_v[mine][part] += add_v;
        }
      }
    }
  }
#pragma unroll
  for (int mine = 0; mine < owned; ++mine) {
    const std::int64_t row = first_key + first + warp * owned + mine;
    if (row >= end_key) continue;
#pragma unroll
    for (int part = 0; part < dims / 32; ++part) {
      const int d = part * 32 + lane;
      if (d >= g.head_dim) continue;
      const std::int64_t c = kv_head * g.head_dim + d;
      grad_k.store(row, c, (accumulate ? grad_k.load(row, c) : 0.0F) + sum_k[mine][part]);
      grad_v.store(row, c, (accumulate ? grad_v.load(row, c) : 0.0F) + sum_v[mine][part]);
    }
  }
}

template <int dims>
__global__ void __launch_bounds__(lanes* tile_warps)
    queries_kernel(Rows<float> grad_q, Inputs in, Geometry g, bool accumulate) {
  __shared__ TileOf<tile, dims> queries;
  __shared__ TileOf<tile, dims> grads;
  __shared__ TileOf<step, dims> keys;
  __shared__ TileOf<step, dims> values;
  __shared__ Shared<float, step * tile> slopes;
  const int lane = static_cast<int>(threadIdx.x);
  const int warp = static_cast<int>(threadIdx.y);
  const std::int64_t head = blockIdx.y;
  const std::int64_t batch = blockIdx.z;
  const std::int64_t kv_column = g.kv_head(head) * g.head_dim;
  const std::int64_t first = std::int64_t{blockIdx.x} * tile;
  const std::int64_t first_row = batch * g.q_length + first;
  const std::int64_t end_row = (batch + 1) * g.q_length;
  const std::int64_t first_key = batch * g.k_length;
  queries.fill(in.q, first_row, end_row, head * g.head_dim, g.head_dim);
  grads.fill(in.grad_out, first_row, end_row, head * g.head_dim, g.head_dim);

  // Each lane scores for its query; each warp adds up for `owned` others.
  const bool real = first_row + lane < end_row;
  const std::int64_t seen = real ? g.visible(first + lane) : 0;
  const float lse = seen > 0 ? in.lse.load(first_row + lane, head) : 0.0F;
  const float delta = seen > 0 ? in.delta.load(first_row + lane, head) : 0.0F;
  const std::int64_t last = first + tile < g.q_length ? first + tile : g.q_length;
  const std::int64_t most = g.visible(last - 1);
  float sum[owned][dims / 32] = {};
  for (std::int64_t at = 0; at < most; at += step) {
    __syncthreads();
    keys.fill(in.k, first_key + at, first_key + g.k_length, kv_column, g.head_dim);
    values.fill(in.v, first_key + at, first_key + g.k_length, kv_column, g.head_dim);
    __syncthreads();
    for (int j = warp; j < step; j += tile_warps) {
      const Pair both =
          at + j < seen ? pair_of<dims>(queries, grads, lane, keys, values, j, lse, delta, g.scale)
                        : Pair{};
      slopes.store(j * tile + lane, both.ds);
    }
    __syncthreads();
#pragma unroll
    for (int mine = 0; mine < owned; ++mine) {
#pragma unroll
      for (int part = 0; part < dims / 32; ++part) {
        float add = 0.0F;
        for (int j = 0; j < step; ++j) {
          add += slopes.load(j * tile + warp * owned + mine) * keys.load(j, part * 32 + lane);
        }
        sum[mine][part] += add;
      }
    }
  }
#pragma unroll
  for (int mine = 0; mine < owned; ++mine) {
    const std::int64_t row = first_row + warp * owned + mine;
    if (row >= end_row) continue;
#pragma unroll
    for (int part = 0; part < dims / 32; ++part) {
      const int d = part * 32 + lane;
      if (d >= g.head_dim) continue;
      const std::int64_t c = head * g.head_dim + d;
      grad_q.store(row, c, (accumulate ? grad_q.load(row, c) : 0.0F) + sum[mine][part]);
    }
  }
}

}  // namespace

std::size_t CudaKernels::attention_scratch_bytes(const AttentionShape& shape, bool backward) const {
  if (!backward) return 0;
  return static_cast<std::size_t>(shape.batch * shape.q_length * shape.heads) * sizeof(float);
}

void CudaKernels::attention_backward(const Tensor& grad_q, const Tensor& grad_k,
                                     const Tensor& grad_v, const Tensor& grad_out, const Tensor& q,
                                     const Tensor& k, const Tensor& v, const Tensor& out,
                                     const Tensor& lse, const AttentionShape& shape,
                                     const Write& write, const Tensor& scratch) {
  require_head_dim(shape);
  const Rows<float> delta{reinterpret_cast<float*>(scratch.raw_bytes()),
                          shape.batch * shape.q_length, shape.heads, shape.heads};
  launch(stream(), {blocks_for(delta.rows, 1), static_cast<unsigned>(shape.heads)}, {lanes},
         &delta_kernel, delta, rows<float>(grad_out), rows<float>(out), shape.head_dim);
  if (on_tensor_cores(shape)) {
    const Tensor kept(scratch.storage(), scratch.offset_bytes(), Dtype::f32,
                      {delta.rows, delta.cols});
    return narrow_attention_backward(grad_q, grad_k, grad_v, grad_out, q, k, v, lse, kept, shape,
                                     write);
  }
  const Inputs in{rows<float>(grad_out), rows<float>(q),   rows<float>(k),
                  rows<float>(v),        rows<float>(lse), delta};
  const auto batch = static_cast<unsigned>(shape.batch);
  const bool accumulate = write == Write::accumulate;
  with_head_dim(shape.head_dim, [&]<int dims>() {
    launch(stream(),
           {blocks_for(shape.k_length, tile), static_cast<unsigned>(shape.kv_heads), batch},
           {lanes, tile_warps}, &keys_kernel<dims>, rows<float>(grad_k), rows<float>(grad_v), in,
           Geometry(shape), accumulate);
    launch(stream(), {blocks_for(shape.q_length, tile), static_cast<unsigned>(shape.heads), batch},
           {lanes, tile_warps}, &queries_kernel<dims>, rows<float>(grad_q), in, Geometry(shape),
           accumulate);
  });
}

}  // namespace concordat::device::cuda
