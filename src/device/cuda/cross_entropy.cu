// Cross entropy over a shard of the vocabulary. A block takes a row. Bytes moved per logit: 4, 4,
// and 8 for the gradient (6 where it is stored in 16 bits).
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"
#include "device/cuda/reduce.cuh"

namespace concordat::device::cuda {
namespace {

__device__ __forceinline__ float minus_infinity() { return -HUGE_VALF; }

/// Each thread every blockDim.x-th group of 4 logits, in either case.
template <bool packed>
__global__ void max_kernel(Vec<float> row_max, Rows<float> logits, std::int64_t valid) {
  const std::int64_t r = blockIdx.x;
  float largest = minus_infinity();
  for (std::int64_t c = 4 * threadIdx.x; c < valid; c += 4 * blockDim.x) {
    const Floats<4> some = load_floats<4, packed>(logits, r, c, valid, minus_infinity());
#pragma unroll
    for (int i = 0; i < 4; ++i) largest = larger(largest, some.at[i]);
  }
  largest = block_max(largest);
  if (threadIdx.x == 0) row_max.store(r, largest);
}

template <bool packed>
__global__ void sum_kernel(Vec<float> row_sum, Vec<float> target_logit, Rows<float> logits,
                           Vec<float> row_max, Vec<std::int32_t> targets, std::int64_t begin,
                           std::int64_t valid) {
  const std::int64_t r = blockIdx.x;
  const float largest = row_max.load(r);
  float total = 0.0F;
  for (std::int64_t c = 4 * threadIdx.x; c < valid; c += 4 * blockDim.x) {
    const Floats<4> some = load_floats<4, packed>(logits, r, c, valid, minus_infinity());
#pragma unroll
    for (int i = 0; i < 4; ++i) total += expf(some.at[i] - largest);
  }
  total = block_sum(total);
  if (threadIdx.x != 0) return;
  row_sum.store(r, total);
  const std::int32_t target = targets.load(r);
  const std::int64_t column = target - begin;
  const bool here = target >= 0 && column >= 0 && column < valid;
  target_logit.store(r, here ? logits.load(r, column) : 0.0F);
}

__global__ void loss_kernel(Vec<float> loss, Vec<float> row_max, Vec<float> row_sum,
                            Vec<float> target_logit, Vec<std::int32_t> targets) {
  const std::int64_t r = global_x();
  if (r >= loss.count) return;
  const float nats = row_max.load(r) + logf(row_sum.load(r)) - target_logit.load(r);
  loss.store(r, targets.load(r) < 0 ? 0.0F : nats);
}

template <int n, typename T>
__global__ void gradient_kernel(Rows<T> grad, Rows<float> logits, Vec<float> row_max,
                                Vec<float> row_sum, Vec<std::int32_t> targets, Vec<float> scale,
                                std::int64_t begin, std::int64_t valid) {
  const std::int64_t c = n * global_x();
  if (c >= grad.cols) return;
  const float factor = scale.load(0);
  for (std::int64_t r = blockIdx.y; r < grad.rows; r += gridDim.y) {
    const std::int32_t target = targets.load(r);
    Floats<n> g = {};
    if (c < valid && target >= 0) {
      g = load_floats<n, true>(logits, r, c, valid, minus_infinity());
      const float largest = row_max.load(r);
      const float sum = row_sum.load(r);
#pragma unroll
      for (int i = 0; i < n; ++i) {
        g.at[i] = expf(g.at[i] - largest) / sum;
        if (c + i + begin == target && c + i < valid) g.at[i] -= 1.0F;
        g.at[i] *= factor;
      }
    }
    store_floats<n, true>(grad, r, c, grad.cols, g);
  }
}

/// Threads of a block that walks over `valid` logits in groups of 4.
unsigned threads_over(std::int64_t valid) { return threads_for(packs_in(valid, 4)); }

}  // namespace

void CudaKernels::cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                                    const VocabShard& shard) {
  if (row_max.size() == 0) return;
  const Rows<float> in = rows<float>(logits);
  with_packed(packs<4>(in), [&]<bool packed>() {
    launch(stream(), {blocks_for(in.rows, 1)}, {threads_over(shard.valid)}, &max_kernel<packed>,
           vec<float>(row_max), in, shard.valid);
  });
}

void CudaKernels::cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit,
                                    const Tensor& logits, const Tensor& row_max,
                                    const Tensor& targets, const VocabShard& shard) {
  if (row_sum.size() == 0) return;
  const Rows<float> in = rows<float>(logits);
  with_packed(packs<4>(in), [&]<bool packed>() {
    launch(stream(), {blocks_for(in.rows, 1)}, {threads_over(shard.valid)}, &sum_kernel<packed>,
           vec<float>(row_sum), vec<float>(target_logit), in, vec<float>(row_max),
           vec<std::int32_t>(targets), shard.begin, shard.valid);
  });
}

void CudaKernels::cross_entropy_loss(const Tensor& loss, const Tensor& row_max,
                                     const Tensor& row_sum, const Tensor& target_logit,
                                     const Tensor& targets) {
  if (loss.size() == 0) return;
  launch(stream(), {blocks_for(loss.size(), threads_for(loss.size()))}, {threads_for(loss.size())},
         &loss_kernel, vec<float>(loss), vec<float>(row_max), vec<float>(row_sum),
         vec<float>(target_logit), vec<std::int32_t>(targets));
}

void CudaKernels::cross_entropy_gradient(const Tensor& grad_logits, const Tensor& logits,
                                         const Tensor& row_max, const Tensor& row_sum,
                                         const Tensor& targets, const Tensor& scale,
                                         const VocabShard& shard) {
  if (logits.size() == 0) return;
  with_format(grad_logits.dtype(), [&]<typename T>() {
    const auto to = rows<T>(grad_logits);
    const auto in = rows<float>(logits);
    constexpr int most = pack_of<T>;
    with_pack<most>(packs<most>(to, in), [&]<int n>() {
      const Plane plane(to.rows, packs_in(to.cols, n));
      launch(stream(), plane.grid, plane.block, &gradient_kernel<n, T>, to, in, vec<float>(row_max),
             vec<float>(row_sum), vec<std::int32_t>(targets), vec<float>(scale), shard.begin,
             shard.valid);
    });
  });
}

}  // namespace concordat::device::cuda
