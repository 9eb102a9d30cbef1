// Attention, forward and merge. A block takes 32 queries of a head, a warp one query at a time;
// keys come 32 at a time through shared memory, the softmax is kept up to date as they come
// (Milakov and Gimelshein, 2018; Dao et al., 2022). Reads k and v once per 32 queries.
#include "concordat/device/errors.hpp"
#include "device/cuda/attention.cuh"
#include "device/cuda/cuda_kernels.hpp"

namespace concordat::device::cuda {
namespace {

__device__ __forceinline__ float minus_infinity() { return -HUGE_VALF; }

/// What a warp knows of its queries so far.
template <int dims>
struct Running {
  float largest = minus_infinity();
  float total = 0.0F;
  float sums[dims / 32] = {};
};

template <int dims>
__global__ void __launch_bounds__(lanes* tile_warps, 1)
    forward_kernel(Rows<float> out, Rows<float> lse, Rows<float> q, Rows<float> k, Rows<float> v,
                   Geometry g) {
  __shared__ TileOf<tile, dims> keys;
  __shared__ TileOf<tile, dims> values;
  __shared__ TileOf<tile_warps, dims> query;
  __shared__ Shared<float, tile_warps * tile> weights;
  const int lane = static_cast<int>(threadIdx.x);
  const int warp = static_cast<int>(threadIdx.y);
  const std::int64_t head = blockIdx.y;
  const std::int64_t batch = blockIdx.z;
  const std::int64_t kv_column = g.kv_head(head) * g.head_dim;
  const std::int64_t first = std::int64_t{blockIdx.x} * tile;
  const std::int64_t last = first + tile < g.q_length ? first + tile : g.q_length;
  const std::int64_t first_key = batch * g.k_length;

  Running<dims> state[owned];
  // The last query of the tile sees most.
  const std::int64_t most = g.visible(last - 1);
  for (std::int64_t begin = 0; begin < most; begin += tile) {
    __syncthreads();
    keys.fill(k, first_key + begin, first_key + g.k_length, kv_column, g.head_dim);
    values.fill(v, first_key + begin, first_key + g.k_length, kv_column, g.head_dim);
    __syncthreads();
#pragma unroll
    for (int mine = 0; mine < owned; ++mine) {
      const std::int64_t i = first + warp + mine * tile_warps;
      const std::int64_t seen = i < last ? g.visible(i) : 0;
      if (begin >= seen) continue;  // the whole warp
      Running<dims>& s = state[mine];
      for (int d = lane; d < dims; d += static_cast<int>(lanes)) {
        query.store(warp, d,
                    d < g.head_dim ? q.load(batch * g.q_length + i, head * g.head_dim + d) : 0.0F);
      }
      __syncwarp();
      float score = minus_infinity();
      if (begin + lane < seen) {
        float product = 0.0F;
        for (int d = 0; d < dims; ++d) product += query.load(warp, d) * keys.load(lane, d);
        score = product * g.scale;
      }
      const float largest = larger(s.largest, warp_max(score));
      const float weight = begin + lane < seen ? expf(score - largest) : 0.0F;
      const float shrink = expf(s.largest - largest);  // 0 at first: exp(-inf)
      s.total = s.total * shrink + warp_sum(weight);
      s.largest = largest;
      weights.store(warp * tile + lane, weight);
      __syncwarp();
#pragma unroll
      for (int part = 0; part < dims / 32; ++part) {
        float sum = s.sums[part] * shrink;
        for (int j = 0; j < tile; ++j) {
          sum += weights.load(warp * tile + j) * values.load(j, part * 32 + lane);
        }
        s.sums[part] = sum;
      }
      __syncwarp();
    }
  }
#pragma unroll
  for (int mine = 0; mine < owned; ++mine) {
    const std::int64_t i = first + warp + mine * tile_warps;
    if (i >= last) continue;
    const Running<dims>& s = state[mine];
    const std::int64_t row = batch * g.q_length + i;
    const bool blind = s.total == 0.0F;  // a query that sees no key
    if (lane == 0) lse.store(row, head, blind ? minus_infinity() : s.largest + logf(s.total));
#pragma unroll
    for (int part = 0; part < dims / 32; ++part) {
      const int d = part * 32 + lane;
      if (d < g.head_dim)
        out.store(row, head * g.head_dim + d, blind ? 0.0F : s.sums[part] / s.total);
    }
  }
}

// A warp takes a row of a head.
__global__ void merge_kernel(Rows<float> out, Rows<float> lse, Rows<float> other_out,
                             Rows<float> other_lse, std::int64_t head_dim) {
  const std::int64_t row = blockIdx.x;
  const std::int64_t head = blockIdx.y;
  const float mine = lse.load(row, head);
  const float theirs = other_lse.load(row, head);
  const float largest = larger(mine, theirs);
  if (isinf(largest)) return;  // neither saw a key: out stays 0
  const float a = expf(mine - largest);
  const float b = expf(theirs - largest);
  for (std::int64_t d = threadIdx.x; d < head_dim; d += lanes) {
    const std::int64_t c = head * head_dim + d;
    out.store(row, c, (a * out.load(row, c) + b * other_out.load(row, c)) / (a + b));
  }
  __syncwarp();  // all have read lse
  if (threadIdx.x == 0) lse.store(row, head, largest + logf(a + b));
}

}  // namespace

void require_head_dim(const AttentionShape& shape) {
  if (shape.head_dim <= most_head_dim) return;
  throw Error(errors::not_on_this_device,
              {.what = "the cuda back end has no attention for heads so wide",
               .where = "attention",
               .found = "head_dim " + std::to_string(shape.head_dim),
               .expected = "at most " + std::to_string(most_head_dim),
               .remedy = "set train.device=cpu, or give the model more heads"});
}

void CudaKernels::attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const AttentionShape& shape,
                                    const Tensor&) {
  require_head_dim(shape);
  if (on_tensor_cores(shape)) return narrow_attention_forward(out, lse, q, k, v, shape);
  const dim3 grid(blocks_for(shape.q_length, tile), static_cast<unsigned>(shape.heads),
                  static_cast<unsigned>(shape.batch));
  with_head_dim(shape.head_dim, [&]<int dims>() {
    launch(stream(), grid, {lanes, tile_warps}, &forward_kernel<dims>, rows<float>(out),
           rows<float>(lse), rows<float>(q), rows<float>(k), rows<float>(v), Geometry(shape));
  });
}

void CudaKernels::attention_merge(const Tensor& out, const Tensor& lse, const Tensor& other_out,
                                  const Tensor& other_lse, const AttentionShape& shape) {
  const dim3 grid(blocks_for(out.dim(0), 1), static_cast<unsigned>(shape.heads));
  launch(stream(), grid, {lanes}, &merge_kernel, rows<float>(out), rows<float>(lse),
         rows<float>(other_out), rows<float>(other_lse), shape.head_dim);
}

}  // namespace concordat::device::cuda
