// Cross entropy over a shard of the vocabulary. A block takes a row. Bytes moved per logit: 4, 4,
// and 8 for the gradient (6 where it is stored in 16 bits).
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/reduce.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

__device__ __forceinline__ float minus_infinity() { return -HUGE_VALF; }

__global__ void max_kernel(Vec<float> row_max, Rows<float> logits, std::int64_t valid) {
  const std::int64_t r = blockIdx.x;
  float largest = minus_infinity();
  for (std::int64_t c = threadIdx.x; c < valid; c += blockDim.x) {
    largest = larger(largest, logits.load(r, c));
  }
  largest = block_max(largest);
  if (threadIdx.x == 0) row_max.store(r, largest);
}

__global__ void sum_kernel(Vec<float> row_sum, Vec<float> target_logit, Rows<float> logits,
                           Vec<float> row_max, Vec<std::int32_t> targets, std::int64_t begin,
                           std::int64_t valid) {
  const std::int64_t r = blockIdx.x;
  const float largest = row_max.load(r);
  float total = 0.0F;
  for (std::int64_t c = threadIdx.x; c < valid; c += blockDim.x) {
    total += expf(logits.load(r, c) - largest);
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

template <typename T>
__global__ void gradient_kernel(Rows<T> grad, Rows<float> logits, Vec<float> row_max,
                                Vec<float> row_sum, Vec<std::int32_t> targets, Vec<float> scale,
                                std::int64_t begin, std::int64_t valid) {
  const std::int64_t c = global_x();
  if (c >= grad.cols) return;
  const float factor = scale.load(0);
  for (std::int64_t r = blockIdx.y; r < grad.rows; r += gridDim.y) {
    const std::int32_t target = targets.load(r);
    float g = 0.0F;
    if (c < valid && target >= 0) {
      g = expf(logits.load(r, c) - row_max.load(r)) / row_sum.load(r);
      if (c + begin == target) g -= 1.0F;
    }
    grad.store(r, c, narrow<T>(g * factor));
  }
}

}  // namespace

void CudaKernels::cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                                    const VocabShard& shard) {
  if (row_max.size() == 0) return;
  launch(stream(), {blocks_for(logits.dim(0), 1)}, {threads_for(shard.valid)}, &max_kernel,
         vec<float>(row_max), rows<float>(logits), shard.valid);
}

void CudaKernels::cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit,
                                    const Tensor& logits, const Tensor& row_max,
                                    const Tensor& targets, const VocabShard& shard) {
  if (row_sum.size() == 0) return;
  launch(stream(), {blocks_for(logits.dim(0), 1)}, {threads_for(shard.valid)}, &sum_kernel,
         vec<float>(row_sum), vec<float>(target_logit), rows<float>(logits), vec<float>(row_max),
         vec<std::int32_t>(targets), shard.begin, shard.valid);
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
  const Plane plane(logits.dim(0), logits.dim(1));
  with_format(grad_logits.dtype(), [&]<typename T>() {
    launch(stream(), plane.grid, plane.block, &gradient_kernel<T>, rows<T>(grad_logits),
           rows<float>(logits), vec<float>(row_max), vec<float>(row_sum),
           vec<std::int32_t>(targets), vec<float>(scale), shard.begin, shard.valid);
  });
}

}  // namespace concordat::device::cuda
