// Rotary position embedding. A thread turns one pair of each head of a row: the angle, in f64 as
// everywhere, is made once for all heads. 8 bytes moved per element.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

__global__ void rope_kernel(Rows<float> out, Rows<float> x, Vec<std::int32_t> positions,
                            std::int64_t head_dim, double base, bool inverse) {
  const std::int64_t half = head_dim / 2;
  const std::int64_t i = global_x();
  if (i >= half) return;
  const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
  const double frequency = pow(base, exponent);
  for (std::int64_t r = blockIdx.y; r < out.rows; r += gridDim.y) {
    double sine = 0.0;
    double cosine = 0.0;
    sincos(positions.load(r) * frequency, &sine, &cosine);
    const auto c = static_cast<float>(cosine);
    const auto s = static_cast<float>(inverse ? -sine : sine);
    for (std::int64_t head = 0; head < out.cols; head += head_dim) {
      const float low = x.load(r, head + i);
      const float high = x.load(r, head + half + i);
      out.store(r, head + i, low * c - high * s);
      out.store(r, head + half + i, high * c + low * s);
    }
  }
}

}  // namespace

void CudaKernels::rope(const Tensor& out, const Tensor& x, const Tensor& positions,
                       const RopeOptions& options) {
  if (out.size() == 0) return;
  const Plane plane(out.dim(0), options.head_dim / 2);
  launch(stream(), plane.grid, plane.block, &rope_kernel, rows<float>(out), rows<float>(x),
         vec<std::int32_t>(positions), options.head_dim, options.base, options.inverse);
}

}  // namespace concordat::device::cuda
