// RMSNorm. A warp takes a row. Bytes moved per element (f32, width large): forward 12 (x twice,
// y once), backward of the input 20, of the weight 8.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/reduce.cuh"
#include "device/cuda/row_warps.cuh"
#include "device/cuda/sums.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

template <typename T>
__global__ void forward_kernel(Rows<T> y, Vec<float> inv_rms, Rows<float> x, Vec<float> weight,
                               float eps) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  float squares = 0.0F;
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    const float value = x.load(r, c);
    squares += value * value;
  }
  squares = warp_sum(squares);
  const float inv = 1.0F / sqrtf(squares / static_cast<float>(x.cols) + eps);
  if (threadIdx.x == 0) inv_rms.store(r, inv);
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    y.store(r, c, narrow<T>(x.load(r, c) * inv * weight.load(c)));
  }
}

// With n = x * inv and h = grad_y * weight: grad_x = inv * (h - n * mean(h * n)).
__global__ void backward_input_kernel(Rows<float> grad_x, Rows<float> grad_y, Rows<float> x,
                                      Vec<float> weight, Vec<float> inv_rms, bool accumulate) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  const float inv = inv_rms.load(r);
  float mean = 0.0F;
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    mean += grad_y.load(r, c) * weight.load(c) * x.load(r, c) * inv;
  }
  mean = warp_sum(mean) / static_cast<float>(x.cols);
  for (std::int64_t c = threadIdx.x; c < x.cols; c += lanes) {
    const float g = inv * (grad_y.load(r, c) * weight.load(c) - x.load(r, c) * inv * mean);
    grad_x.store(r, c, accumulate ? grad_x.load(r, c) + g : g);
  }
}

__global__ void backward_weight_kernel(Rows<float> partial, Rows<float> grad_y, Rows<float> x,
                                       Vec<float> inv_rms) {
  const std::int64_t c = global_x();
  if (c >= x.cols) return;
  const std::int64_t begin = std::int64_t{blockIdx.y} * stretch;
  const std::int64_t end = begin + stretch < x.rows ? begin + stretch : x.rows;
  float total = 0.0F;
  for (std::int64_t r = begin; r < end; ++r) {
    total += grad_y.load(r, c) * x.load(r, c) * inv_rms.load(r);
  }
  partial.store(blockIdx.y, c, total);
}

}  // namespace

std::size_t CudaKernels::rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const {
  return column_sums_scratch_bytes(rows, width);
}

void CudaKernels::rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                                   const Tensor& weight, const float& eps) {
  if (x.size() == 0) return;
  with_format(y.dtype(), [&]<typename T>() {
    launch(stream(), row_grid(x.dim(0)), row_block(), &forward_kernel<T>, rows<T>(y),
           vec<float>(inv_rms), rows<float>(x), vec<float>(weight), eps);
  });
}

void CudaKernels::rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                          const Tensor& x, const Tensor& weight,
                                          const Tensor& inv_rms, const Write& write) {
  if (x.size() == 0) return;
  launch(stream(), row_grid(x.dim(0)), row_block(), &backward_input_kernel, rows<float>(grad_x),
         rows<float>(grad_y), rows<float>(x), vec<float>(weight), vec<float>(inv_rms),
         write == Write::accumulate);
}

void CudaKernels::rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y,
                                           const Tensor& x, const Tensor& inv_rms,
                                           const Tensor& scratch) {
  if (x.size() == 0) return;
  const Rows<float> partial = partials(scratch, x.dim(0), x.dim(1));
  launch(stream(), stretch_grid(x.dim(0), x.dim(1)), {threads_for(x.dim(1))},
         &backward_weight_kernel, partial, rows<float>(grad_y), rows<float>(x),
         vec<float>(inv_rms));
  add_partials(stream(), grad_weight, partial);
}

}  // namespace concordat::device::cuda
