// RMSNorm, and LayerNorm, which is `centred`: its mean is taken off and a bias added. A warp takes
// a row; LayerNorm's variance is that of the differences to the mean, so a mean that is large
// beside it costs no digits. Bytes moved per element (f32, width large): forward 12 (x twice, y
// once), LayerNorm 16; backward of the input 20, of weight and bias 8.
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

/// What the forward keeps of a row: 1 / root of its mean square; or its mean and 1 / its standard
/// deviation.
template <bool centred>
struct Statistics {
  Rows<float> kept;
  explicit Statistics(const Tensor& t)
      : kept{pointer<float>(t), t.size() / (centred ? 2 : 1), centred ? 2 : 1, centred ? 2 : 1} {}
  __device__ __forceinline__ float mean(std::int64_t r) const {
    return centred ? kept.load(r, 0) : 0.0F;
  }
  __device__ __forceinline__ float inverse(std::int64_t r) const {
    return kept.load(r, centred ? 1 : 0);
  }
  __device__ __forceinline__ void store(std::int64_t r, float mean, float inverse) const {
    if (centred) kept.store(r, 0, mean);
    kept.store(r, centred ? 1 : 0, inverse);
  }
};

template <bool centred, bool packed, typename T>
__global__ void forward_kernel(Rows<T> y, Statistics<centred> statistics, Rows<float> x,
                               Vec<float> weight, Vec<float> bias, float eps) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  const auto width = static_cast<float>(x.cols);
  float mean = 0.0F;
  if constexpr (centred) {
    for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
      const Floats<group> some = load_floats<group, packed>(x, r, c, x.cols);
#pragma unroll
      for (int i = 0; i < group; ++i) mean += some.at[i];
    }
    mean = warp_sum(mean) / width;
  }
  float squares = 0.0F;
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    const Floats<group> some = load_floats<group, packed>(x, r, c, x.cols, mean);
#pragma unroll
    for (int i = 0; i < group; ++i) squares += (some.at[i] - mean) * (some.at[i] - mean);
  }
  squares = warp_sum(squares);
  const float inv = 1.0F / sqrtf(squares / width + eps);
  if (threadIdx.x == 0) statistics.store(r, mean, inv);
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    Floats<group> some = load_floats<group, packed>(x, r, c, x.cols);
    const Floats<group> w = load_floats<group, packed>(weight, c);
    Floats<group> b = {};
    if constexpr (centred) b = load_floats<group, packed>(bias, c);
#pragma unroll
    for (int i = 0; i < group; ++i) {
      some.at[i] = (some.at[i] - mean) * inv * w.at[i];
      if constexpr (centred) some.at[i] += b.at[i];
    }
    store_floats<group, packed>(y, r, c, y.cols, some);
  }
}

// With n = (x - mean) * inv and h = grad_y * weight: grad_x = inv * (h - mean(h) - n * mean(h *
// n)), without mean(h) where the mean is not taken off.
template <bool centred, bool packed>
__global__ void backward_input_kernel(Rows<float> grad_x, Rows<float> grad_y, Rows<float> x,
                                      Vec<float> weight, Statistics<centred> statistics,
                                      bool accumulate) {
  const std::int64_t r = row_of_warp();
  if (r >= x.rows) return;
  const auto width = static_cast<float>(x.cols);
  const float mean = statistics.mean(r);
  const float inv = statistics.inverse(r);
  float sum = 0.0F;
  float product = 0.0F;
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    const Floats<group> g = load_floats<group, packed>(grad_y, r, c, x.cols);
    const Floats<group> w = load_floats<group, packed>(weight, c);
    const Floats<group> z = load_floats<group, packed>(x, r, c, x.cols, mean);
#pragma unroll
    for (int i = 0; i < group; ++i) {
      const float h = g.at[i] * w.at[i];
      sum += h;
      product += h * ((z.at[i] - mean) * inv);
    }
  }
  sum = centred ? warp_sum(sum) / width : 0.0F;
  product = warp_sum(product) / width;
  for (std::int64_t c = group * threadIdx.x; c < x.cols; c += stride) {
    Floats<group> g = load_floats<group, packed>(grad_y, r, c, x.cols);
    const Floats<group> w = load_floats<group, packed>(weight, c);
    const Floats<group> z = load_floats<group, packed>(x, r, c, x.cols);
    Floats<group> before = {};
    if (accumulate) before = load_floats<group, packed>(grad_x, r, c, x.cols);
#pragma unroll
    for (int i = 0; i < group; ++i) {
      const float n = (z.at[i] - mean) * inv;
      const float made = inv * (g.at[i] * w.at[i] - sum - n * product);
      g.at[i] = accumulate ? before.at[i] + made : made;
    }
    store_floats<group, packed>(grad_x, r, c, x.cols, g);
  }
}

template <bool centred, int n>
__global__ void backward_weight_kernel(Rows<float> weight_sums, Rows<float> bias_sums,
                                       Rows<float> grad_y, Rows<float> x,
                                       Statistics<centred> statistics) {
  const std::int64_t c = n * global_x();
  if (c >= x.cols) return;
  const std::int64_t begin = std::int64_t{blockIdx.y} * stretch;
  const std::int64_t end = begin + stretch < x.rows ? begin + stretch : x.rows;
  Floats<n> weight = {};
  Floats<n> bias = {};
  for (std::int64_t r = begin; r < end; ++r) {
    const Floats<n> g = load_floats<n, true>(grad_y, r, c, x.cols);
    const Floats<n> z = load_floats<n, true>(x, r, c, x.cols);
    const float mean = statistics.mean(r);
    const float inv = statistics.inverse(r);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      weight.at[i] += g.at[i] * (z.at[i] - mean) * inv;
      if constexpr (centred) bias.at[i] += g.at[i];
    }
  }
  store_floats<n, true>(weight_sums, blockIdx.y, c, x.cols, weight);
  if constexpr (centred) store_floats<n, true>(bias_sums, blockIdx.y, c, x.cols, bias);
}

template <bool centred>
void forward(cudaStream_t stream, const Tensor& y, const Tensor& statistics, const Tensor& x,
             const Tensor& weight, const Tensor& bias, float eps) {
  if (x.size() == 0) return;
  with_format(y.dtype(), [&]<typename T>() {
    const auto to = rows<T>(y);
    const auto from = rows<float>(x);
    const auto w = vec<float>(weight);
    const auto b = vec<float>(bias);
    with_packed(packs<group>(to, from, w, b), [&]<bool packed>() {
      launch(stream, row_grid(from.rows), row_block(), &forward_kernel<centred, packed, T>, to,
             Statistics<centred>(statistics), from, w, b, eps);
    });
  });
}

template <bool centred>
void backward_input(cudaStream_t stream, const Tensor& grad_x, const Tensor& grad_y,
                    const Tensor& x, const Tensor& weight, const Tensor& statistics, Write write) {
  if (x.size() == 0) return;
  const auto to = rows<float>(grad_x);
  const auto g = rows<float>(grad_y);
  const auto z = rows<float>(x);
  const auto w = vec<float>(weight);
  with_packed(packs<group>(to, g, z, w), [&]<bool packed>() {
    launch(stream, row_grid(z.rows), row_block(), &backward_input_kernel<centred, packed>, to, g, z,
           w, Statistics<centred>(statistics), write == Write::accumulate);
  });
}

template <bool centred>
void backward_weight(cudaStream_t stream, const Tensor& grad_weight, const Tensor& grad_bias,
                     const Tensor& grad_y, const Tensor& x, const Tensor& statistics,
                     const Tensor& scratch) {
  if (x.size() == 0) return;
  const Rows<float> weight_sums = partials(scratch, x.dim(0), x.dim(1), 0);
  Rows<float> bias_sums = {};
  if (centred) bias_sums = partials(scratch, x.dim(0), x.dim(1), 1);
  const auto g = rows<float>(grad_y);
  const auto z = rows<float>(x);
  with_pack<group>(packs<group>(weight_sums, bias_sums, g, z), [&]<int n>() {
    const std::int64_t width = packs_in(z.cols, n);
    launch(stream, stretch_grid(z.rows, width), {threads_for(width)},
           &backward_weight_kernel<centred, n>, weight_sums, bias_sums, g, z,
           Statistics<centred>(statistics));
  });
  add_partials(stream, grad_weight, weight_sums);
  if (centred) add_partials(stream, grad_bias, bias_sums);
}

}  // namespace

std::size_t CudaKernels::rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const {
  return column_sums_scratch_bytes(rows, width);
}

void CudaKernels::rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                                   const Tensor& weight, const float& eps) {
  forward<false>(stream(), y, inv_rms, x, weight, {}, eps);
}

void CudaKernels::rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                          const Tensor& x, const Tensor& weight,
                                          const Tensor& inv_rms, const Write& write) {
  backward_input<false>(stream(), grad_x, grad_y, x, weight, inv_rms, write);
}

void CudaKernels::rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y,
                                           const Tensor& x, const Tensor& inv_rms,
                                           const Tensor& scratch) {
  backward_weight<false>(stream(), grad_weight, {}, grad_y, x, inv_rms, scratch);
}

void CudaKernels::layer_norm_forward(const Tensor& y, const Tensor& statistics, const Tensor& x,
                                     const Tensor& weight, const Tensor& bias, const float& eps) {
  forward<true>(stream(), y, statistics, x, weight, bias, eps);
}

void CudaKernels::layer_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                            const Tensor& x, const Tensor& weight,
                                            const Tensor& statistics, const Write& write) {
  backward_input<true>(stream(), grad_x, grad_y, x, weight, statistics, write);
}

void CudaKernels::layer_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_bias,
                                             const Tensor& grad_y, const Tensor& x,
                                             const Tensor& statistics, const Tensor& scratch) {
  backward_weight<true>(stream(), grad_weight, grad_bias, grad_y, x, statistics, scratch);
}

}  // namespace concordat::device::cuda
