// RMSNorm. A warp takes a row. Bytes moved per element (f32, width large): forward 12 (x twice,
// y once), backward of the input 20, of the weight 8.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"
#include "device/cuda/reduce.cuh"
#include "device/cuda/row_warps.cuh"
#include "device/cuda/sums.cuh"

namespace concordat::device::cuda {
namespace {

// A lane takes every 32nd group of 4 elements, whether they are packed or not.
constexpr int group = 4;
constexpr std::int64_t stride = group * lanes;

template <bool packed, typename T>
__global__ void forward_kernel(Rows<T> y, Vec<float> inv_rms, Rows<float> x, Vec<float> weight,
                               float eps) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  float squares = 0.0F;
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    const Floats<group> some = load_floats<group, packed>(x, r, c, x.cols);
#pragma unroll
    for (int i = 0; i < group; ++i) squares += some.at[i] * some.at[i];
  }
  squares = warp_sum(squares);
  const float inv = 1.0F / sqrtf(squares / static_cast<float>(x.cols) + eps);
  if (threadIdx.x == 0) inv_rms.store(r, inv);
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    Floats<group> some = load_floats<group, packed>(x, r, c, x.cols);
    const Floats<group> w = load_floats<group, packed>(weight, c);
#pragma unroll
    for (int i = 0; i < group; ++i) some.at[i] = some.at[i] * inv * w.at[i];
    store_floats<group, packed>(y, r, c, y.cols, some);
  }
}

// With n = x * inv and h = grad_y * weight: grad_x = inv * (h - n * mean(h * n)).
template <bool packed>
__global__ void backward_input_kernel(Rows<float> grad_x, Rows<float> grad_y, Rows<float> x,
                                      Vec<float> weight, Vec<float> inv_rms, bool accumulate) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  const float inv = inv_rms.load(r);
  float mean = 0.0F;
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    const Floats<group> g = load_floats<group, packed>(grad_y, r, c, x.cols);
    const Floats<group> w = load_floats<group, packed>(weight, c);
    const Floats<group> z = load_floats<group, packed>(x, r, c, x.cols);
#pragma unroll
    for (int i = 0; i < group; ++i) mean += g.at[i] * w.at[i] * z.at[i] * inv;
  }
  mean = warp_sum(mean) / static_cast<float>(x.cols);
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    Floats<group> g = load_floats<group, packed>(grad_y, r, c, x.cols);
    const Floats<group> w = load_floats<group, packed>(weight, c);
    const Floats<group> z = load_floats<group, packed>(x, r, c, x.cols);
    Floats<group> before = {};
    if (accumulate) before = load_floats<group, packed>(grad_x, r, c, x.cols);
#pragma unroll
    for (int i = 0; i < group; ++i) {
      const float made = inv * (g.at[i] * w.at[i] - z.at[i] * inv * mean);
      g.at[i] = accumulate ? before.at[i] + made : made;
    }
    store_floats<group, packed>(grad_x, r, c, x.cols, g);
  }
}

template <int n>
__global__ void backward_weight_kernel(Rows<float> partial, Rows<float> grad_y, Rows<float> x,
                                       Vec<float> inv_rms) {
  const std::int64_t c = n * global_x();
  if (c >= x.cols) return;
  const std::int64_t begin = std::int64_t{blockIdx.y} * stretch;
  const std::int64_t end = begin + stretch < x.rows ? begin + stretch : x.rows;
  Floats<n> total = {};
  for (std::int64_t r = begin; r < end; ++r) {
    const Floats<n> g = load_floats<n, true>(grad_y, r, c, x.cols);
    const Floats<n> z = load_floats<n, true>(x, r, c, x.cols);
    const float inv = inv_rms.load(r);
#pragma unroll
    for (int i = 0; i < n; ++i) total.at[i] += g.at[i] * z.at[i] * inv;
  }
  store_floats<n, true>(partial, blockIdx.y, c, x.cols, total);
}

}  // namespace

std::size_t CudaKernels::rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const {
  return column_sums_scratch_bytes(rows, width);
}

void CudaKernels::rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                                   const Tensor& weight, const float& eps) {
  if (x.size() == 0) return;
  with_format(y.dtype(), [&]<typename T>() {
    const auto to = rows<T>(y);
    const auto from = rows<float>(x);
    const auto w = vec<float>(weight);
    with_packed(packs<group>(to, from, w), [&]<bool packed>() {
      launch(stream(), row_grid(from.rows), row_block(), &forward_kernel<packed, T>, to,
             vec<float>(inv_rms), from, w, eps);
    });
  });
}

void CudaKernels::rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                          const Tensor& x, const Tensor& weight,
                                          const Tensor& inv_rms, const Write& write) {
  if (x.size() == 0) return;
  const auto to = rows<float>(grad_x);
  const auto g = rows<float>(grad_y);
  const auto z = rows<float>(x);
  const auto w = vec<float>(weight);
  with_packed(packs<group>(to, g, z, w), [&]<bool packed>() {
    launch(stream(), row_grid(z.rows), row_block(), &backward_input_kernel<packed>, to, g, z, w,
           vec<float>(inv_rms), write == Write::accumulate);
  });
}

void CudaKernels::rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y,
                                           const Tensor& x, const Tensor& inv_rms,
                                           const Tensor& scratch) {
  if (x.size() == 0) return;
  const Rows<float> partial = partials(scratch, x.dim(0), x.dim(1));
  const auto g = rows<float>(grad_y);
  const auto z = rows<float>(x);
  with_pack<group>(packs<group>(partial, g, z), [&]<int n>() {
    const std::int64_t width = packs_in(z.cols, n);
    launch(stream(), stretch_grid(z.rows, width), {threads_for(width)}, &backward_weight_kernel<n>,
           partial, g, z, vec<float>(inv_rms));
  });
  add_partials(stream(), grad_weight, partial);
}

}  // namespace concordat::device::cuda
