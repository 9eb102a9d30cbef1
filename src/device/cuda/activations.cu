// GELU (tanh form) and SwiGLU. One pass: bytes moved per element (f32) are 8 and 12 forward, 12 and
// 20 backward.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"

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

/// What every kernel here walks over: n columns of each row.
template <int n, typename Each>
__device__ __forceinline__ void each_pack(std::int64_t rows, std::int64_t cols, Each&& each) {
  const std::int64_t c = n * global_x();
  if (c >= cols) return;
  for (std::int64_t r = blockIdx.y; r < rows; r += gridDim.y) each(r, c);
}

template <int n, typename To, typename From>
__global__ void gelu_forward_kernel(Rows<To> out, Rows<From> x) {
  each_pack<n>(out.rows, out.cols, [&](std::int64_t r, std::int64_t c) {
    Floats<n> z = load_floats<n, true>(x, r, c, x.cols);
#pragma unroll
    for (float& each : z.at) {
      const float bent = bend(gelu_slope * (each + gelu_cube * each * each * each));
      each = 0.5F * each * (1.0F + bent);
    }
    store_floats<n, true>(out, r, c, out.cols, z);
  });
}

template <int n, typename To, typename From>
__global__ void gelu_backward_kernel(Rows<To> grad_x, Rows<float> grad_out, Rows<From> x) {
  each_pack<n>(grad_x.rows, grad_x.cols, [&](std::int64_t r, std::int64_t c) {
    const Floats<n> at = load_floats<n, true>(x, r, c, x.cols);
    Floats<n> g = load_floats<n, true>(grad_out, r, c, grad_out.cols);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const float z = at.at[i];
      const float bent = bend(gelu_slope * (z + gelu_cube * z * z * z));
      const float inner = gelu_slope * (1.0F + 3.0F * gelu_cube * z * z);
      g.at[i] *= 0.5F * (1.0F + bent) + 0.5F * z * (1.0F - bent * bent) * inner;
    }
    store_floats<n, true>(grad_x, r, c, grad_x.cols, g);
  });
}

template <int n, typename To, typename From>
__global__ void swiglu_forward_kernel(Rows<To> out, Rows<From> gate, Rows<From> up) {
  each_pack<n>(out.rows, out.cols, [&](std::int64_t r, std::int64_t c) {
    Floats<n> z = load_floats<n, true>(gate, r, c, gate.cols);
    const Floats<n> u = load_floats<n, true>(up, r, c, up.cols);
#pragma unroll
    for (int i = 0; i < n; ++i) z.at[i] = z.at[i] * sigmoid(z.at[i]) * u.at[i];
    store_floats<n, true>(out, r, c, out.cols, z);
  });
}

// With s = sigmoid(z): silu'(z) = s * (1 + z * (1 - s)).
template <int n, typename To, typename From>
__global__ void swiglu_backward_kernel(Rows<To> grad_gate, Rows<To> grad_up, Rows<float> grad_out,
                                       Rows<From> gate, Rows<From> up) {
  each_pack<n>(grad_gate.rows, grad_gate.cols, [&](std::int64_t r, std::int64_t c) {
    const Floats<n> gates = load_floats<n, true>(gate, r, c, gate.cols);
    Floats<n> ups = load_floats<n, true>(up, r, c, up.cols);
    Floats<n> grads = load_floats<n, true>(grad_out, r, c, grad_out.cols);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const float z = gates.at[i];
      const float u = ups.at[i];
      const float g = grads.at[i];
      const float s = sigmoid(z);
      // 1 - s cancels where s is near 1, and z * (1 - s) with it: exp(-z) s is the same number.
      const float rest = s < 0.5F ? 1.0F - s : expf(-z) * s;
      ups.at[i] = g * z * s;
      grads.at[i] = g * u * s * (1.0F + z * rest);
    }
    store_floats<n, true>(grad_up, r, c, grad_up.cols, ups);
    store_floats<n, true>(grad_gate, r, c, grad_gate.cols, grads);
  });
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
  with_formats(out, x, [&]<typename To, typename From>() {
    const auto y = rows<To>(out);
    const auto z = rows<From>(x);
    constexpr int most = pack_of<To, From>;
    with_pack<most>(packs<most>(y, z), [&]<int n>() {
      const Plane plane(y.rows, packs_in(y.cols, n));
      launch(stream(), plane.grid, plane.block, &gelu_forward_kernel<n, To, From>, y, z);
    });
  });
}

void CudaKernels::gelu_backward(const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) {
  if (grad_x.size() == 0) return;
  with_formats(grad_x, x, [&]<typename To, typename From>() {
    const auto to = rows<To>(grad_x);
    const auto g = rows<float>(grad_out);
    const auto z = rows<From>(x);
    constexpr int most = pack_of<To, From>;
    with_pack<most>(packs<most>(to, g, z), [&]<int n>() {
      const Plane plane(to.rows, packs_in(to.cols, n));
      launch(stream(), plane.grid, plane.block, &gelu_backward_kernel<n, To, From>, to, g, z);
    });
  });
}

void CudaKernels::swiglu_forward(const Tensor& out, const Tensor& gate, const Tensor& up) {
  if (out.size() == 0) return;
  with_formats(out, gate, [&]<typename To, typename From>() {
    const auto y = rows<To>(out);
    const auto z = rows<From>(gate);
    const auto u = rows<From>(up);
    constexpr int most = pack_of<To, From>;
    with_pack<most>(packs<most>(y, z, u), [&]<int n>() {
      const Plane plane(y.rows, packs_in(y.cols, n));
      launch(stream(), plane.grid, plane.block, &swiglu_forward_kernel<n, To, From>, y, z, u);
    });
  });
}

void CudaKernels::swiglu_backward(const Tensor& grad_gate, const Tensor& grad_up,
                                  const Tensor& grad_out, const Tensor& gate, const Tensor& up) {
  if (grad_gate.size() == 0) return;
  with_formats(grad_gate, gate, [&]<typename To, typename From>() {
    const auto to_gate = rows<To>(grad_gate);
    const auto to_up = rows<To>(grad_up);
    const auto g = rows<float>(grad_out);
    const auto z = rows<From>(gate);
    const auto u = rows<From>(up);
    constexpr int most = pack_of<To, From>;
    with_pack<most>(packs<most>(to_gate, to_up, g, z, u), [&]<int n>() {
      const Plane plane(to_gate.rows, packs_in(to_gate.cols, n));
      launch(stream(), plane.grid, plane.block, &swiglu_backward_kernel<n, To, From>, to_gate,
             to_up, g, z, u);
    });
  });
}

}  // namespace concordat::device::cuda
