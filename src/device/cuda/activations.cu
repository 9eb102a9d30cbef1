// GELU (tanh form) and SwiGLU. One pass: bytes moved per element (f32) are 8 and 12 forward, 12 and
// 20 backward.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

constexpr float gelu_slope = 0.7978845608028654F;  // sqrt(2 / pi)
constexpr float gelu_cube = 0.044715F;

// tanh through exp(-2 |y|), which neither overflows nor cancels.
__device__ __forceinline__ float bend(float y) {
  const float small = expf(-2.0F * fabsf(y));
  const float size = (1.0F - small) / (1.0F + small);
  return y < 0.0F ? -size : size;
}

__device__ __forceinline__ float sigmoid(float z) { return 1.0F / (1.0F + expf(-z)); }

template <typename To, typename From>
__global__ void gelu_forward_kernel(Rows<To> out, Rows<From> x) {
  const std::int64_t c = global_x();
  if (c >= out.cols) return;
  for (std::int64_t r = blockIdx.y; r < out.rows; r += gridDim.y) {
    const float z = widen(x.load(r, c));
    const float bent = bend(gelu_slope * (z + gelu_cube * z * z * z));
    out.store(r, c, narrow<To>(0.5F * z * (1.0F + bent)));
  }
}

template <typename To, typename From>
__global__ void gelu_backward_kernel(Rows<To> grad_x, Rows<float> grad_out, Rows<From> x) {
  const std::int64_t c = global_x();
  if (c >= grad_x.cols) return;
  for (std::int64_t r = blockIdx.y; r < grad_x.rows; r += gridDim.y) {
    const float z = widen(x.load(r, c));
    const float bent = bend(gelu_slope * (z + gelu_cube * z * z * z));
    const float inner = gelu_slope * (1.0F + 3.0F * gelu_cube * z * z);
    const float slope = 0.5F * (1.0F + bent) + 0.5F * z * (1.0F - bent * bent) * inner;
    grad_x.store(r, c, narrow<To>(slope * grad_out.load(r, c)));
  }
}

template <typename To, typename From>
__global__ void swiglu_forward_kernel(Rows<To> out, Rows<From> gate, Rows<From> up) {
  const std::int64_t c = global_x();
  if (c >= out.cols) return;
  for (std::int64_t r = blockIdx.y; r < out.rows; r += gridDim.y) {
    const float z = widen(gate.load(r, c));
    out.store(r, c, narrow<To>(z * sigmoid(z) * widen(up.load(r, c))));
  }
}

// With s = sigmoid(z): silu'(z) = s * (1 + z * (1 - s)).
template <typename To, typename From>
__global__ void swiglu_backward_kernel(Rows<To> grad_gate, Rows<To> grad_up, Rows<float> grad_out,
                                       Rows<From> gate, Rows<From> up) {
  const std::int64_t c = global_x();
  if (c >= grad_gate.cols) return;
  for (std::int64_t r = blockIdx.y; r < grad_gate.rows; r += gridDim.y) {
    const float z = widen(gate.load(r, c));
    const float u = widen(up.load(r, c));
    const float g = grad_out.load(r, c);
    const float s = sigmoid(z);
    // 1 - s cancels where s is near 1, and z * (1 - s) with it: exp(-z) s is the same number.
    const float rest = s < 0.5F ? 1.0F - s : expf(-z) * s;
    grad_up.store(r, c, narrow<To>(g * z * s));
    grad_gate.store(r, c, narrow<To>(g * u * s * (1.0F + z * rest)));
  }
}

/// Inputs are f32 or of the output's format.
template <typename Work>
void with_formats(const Tensor& out, const Tensor& in, Work&& work) {
  with_format(out.dtype(), [&]<typename To>() {
    if (in.dtype() == Dtype::f32) {
      work.template operator()<To, float>();
    } else {
      work.template operator()<To, To>();
    }
  });
}

}  // namespace

void CudaKernels::gelu_forward(const Tensor& out, const Tensor& x) {
  if (out.size() == 0) return;
  const Plane plane(out.dim(0), out.dim(1));
  with_formats(out, x, [&]<typename To, typename From>() {
    launch(stream(), plane.grid, plane.block, &gelu_forward_kernel<To, From>, rows<To>(out),
           rows<From>(x));
  });
}

void CudaKernels::gelu_backward(const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) {
  if (grad_x.size() == 0) return;
  const Plane plane(grad_x.dim(0), grad_x.dim(1));
  with_formats(grad_x, x, [&]<typename To, typename From>() {
    launch(stream(), plane.grid, plane.block, &gelu_backward_kernel<To, From>, rows<To>(grad_x),
           rows<float>(grad_out), rows<From>(x));
  });
}

void CudaKernels::swiglu_forward(const Tensor& out, const Tensor& gate, const Tensor& up) {
  if (out.size() == 0) return;
  const Plane plane(out.dim(0), out.dim(1));
  with_formats(out, gate, [&]<typename To, typename From>() {
    launch(stream(), plane.grid, plane.block, &swiglu_forward_kernel<To, From>, rows<To>(out),
           rows<From>(gate), rows<From>(up));
  });
}

void CudaKernels::swiglu_backward(const Tensor& grad_gate, const Tensor& grad_up,
                                  const Tensor& grad_out, const Tensor& gate, const Tensor& up) {
  if (grad_gate.size() == 0) return;
  const Plane plane(grad_gate.dim(0), grad_gate.dim(1));
  with_formats(grad_gate, gate, [&]<typename To, typename From>() {
    launch(stream(), plane.grid, plane.block, &swiglu_backward_kernel<To, From>,
           rows<To>(grad_gate), rows<To>(grad_up), rows<float>(grad_out), rows<From>(gate),
           rows<From>(up));
  });
}

}  // namespace concordat::device::cuda
