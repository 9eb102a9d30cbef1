// LayerNorm. A warp takes a row; the variance is that of the differences to the mean, so a mean
// that is large beside it costs no digits. Bytes moved per element (f32): forward 16, backward of
// the input 20, of weight and bias 8.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/reduce.cuh"
#include "device/cuda/row_warps.cuh"
#include "device/cuda/sums.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

template <typename T>
__global__ void forward_kernel(Rows<T> y, Rows<float> statistics, Rows<float> x, Vec<float> weight,
                               Vec<float> bias, float eps) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  const auto width = static_cast<float>(x.cols);
  float mean = 0.0F;
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) mean += x.load(r, c);
  mean = warp_sum(mean) / width;
  float variance = 0.0F;
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    const float gap = x.load(r, c) - mean;
    variance += gap * gap;
  }
  variance = warp_sum(variance) / width;
  const float inv = 1.0F / sqrtf(variance + eps);
  if (threadIdx.x == 0) {
    statistics.store(r, 0, mean);
    statistics.store(r, 1, inv);
  }
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    y.store(r, c, narrow<T>((x.load(r, c) - mean) * inv * weight.load(c) + bias.load(c)));
  }
}

// With n = (x - mean) * inv and h = grad_y * weight: grad_x = inv * (h - mean(h) - n * mean(h *
// n)).
__global__ void backward_input_kernel(Rows<float> grad_x, Rows<float> grad_y, Rows<float> x,
                                      Vec<float> weight, Rows<float> statistics, bool accumulate) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  const auto width = static_cast<float>(x.cols);
  const float mean = statistics.load(r, 0);
  const float inv = statistics.load(r, 1);
  float sum = 0.0F;
  float product = 0.0F;
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    const float h = grad_y.load(r, c) * weight.load(c);
    sum += h;
    product += h * ((x.load(r, c) - mean) * inv);
  }
  sum = warp_sum(sum) / width;
  product = warp_sum(product) / width;
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    const float h = grad_y.load(r, c) * weight.load(c);
    const float n = (x.load(r, c) - mean) * inv;
    const float g = inv * (h - sum - n * product);
    grad_x.store(r, c, accumulate ? grad_x.load(r, c) + g : g);
  }
}

__global__ void backward_weight_kernel(Rows<float> weight_sums, Rows<float> bias_sums,
                                       Rows<float> grad_y, Rows<float> x, Rows<float> statistics) {
  const std::int64_t c = global_x();
  if (c >= x.cols) return;
  const std::int64_t begin = std::int64_t{blockIdx.y} * stretch;
  const std::int64_t end = begin + stretch < x.rows ? begin + stretch : x.rows;
  float weight = 0.0F;
  float bias = 0.0F;
  for (std::int64_t r = begin; r < end; ++r) {
    const float g = grad_y.load(r, c);
    weight += g * (x.load(r, c) - statistics.load(r, 0)) * statistics.load(r, 1);
    bias += g;
  }
  weight_sums.store(blockIdx.y, c, weight);
  bias_sums.store(blockIdx.y, c, bias);
}

/// Mean and 1 / standard deviation of each row, contiguous.
Rows<float> pairs(const Tensor& statistics) {
  return {pointer<float>(statistics), statistics.size() / 2, 2, 2};
}

}  // namespace

void CudaKernels::layer_norm_forward(const Tensor& y, const Tensor& statistics, const Tensor& x,
                                     const Tensor& weight, const Tensor& bias, const float& eps) {
  if (x.size() == 0) return;
  with_format(y.dtype(), [&]<typename T>() {
    launch(stream(), row_grid(x.dim(0)), row_block(), &forward_kernel<T>, rows<T>(y),
           pairs(statistics), rows<float>(x), vec<float>(weight), vec<float>(bias), eps);
  });
}

void CudaKernels::layer_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                            const Tensor& x, const Tensor& weight,
                                            const Tensor& statistics, const Write& write) {
  if (x.size() == 0) return;
  launch(stream(), row_grid(x.dim(0)), row_block(), &backward_input_kernel, rows<float>(grad_x),
         rows<float>(grad_y), rows<float>(x), vec<float>(weight), pairs(statistics),
         write == Write::accumulate);
}

void CudaKernels::layer_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_bias,
                                             const Tensor& grad_y, const Tensor& x,
                                             const Tensor& statistics, const Tensor& scratch) {
  if (x.size() == 0) return;
  const Rows<float> weight_sums = partials(scratch, x.dim(0), x.dim(1), 0);
  const Rows<float> bias_sums = partials(scratch, x.dim(0), x.dim(1), 1);
  launch(stream(), stretch_grid(x.dim(0), x.dim(1)), {threads_for(x.dim(1))},
         &backward_weight_kernel, weight_sums, bias_sums, rows<float>(grad_y), rows<float>(x),
         pairs(statistics));
  add_partials(stream(), grad_weight, weight_sums);
  add_partials(stream(), grad_bias, bias_sums);
}

}  // namespace concordat::device::cuda
