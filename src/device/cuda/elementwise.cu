// add and scale_by. Bytes moved per element: add 3 x and scale_by 2 x the element's size.
// Contiguous tensors are walked over in groups of 128 bits, others element by element.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"
#include "device/cuda/strides.cuh"

namespace concordat::device::cuda {
namespace {

constexpr unsigned threads = 256;

// __grid_constant__: else each thread would copy the arrays of a Strides to its stack.

__global__ void add_kernel(Vec<float> out, const __grid_constant__ Strides to, Vec<float> a,
                           const __grid_constant__ Strides from_a, Vec<float> b,
                           const __grid_constant__ Strides from_b, std::int64_t count) {
  const std::int64_t i = global_x();
  if (i < count) out.store(to.at(i), a.load(from_a.at(i)) + b.load(from_b.at(i)));
}

__global__ void scale_kernel(Vec<float> inout, const __grid_constant__ Strides at,
                             Vec<float> factor, std::int64_t count) {
  const std::int64_t i = global_x();
  if (i < count) inout.store(at.at(i), inout.load(at.at(i)) * factor.load(0));
}

// The same for contiguous tensors, n elements a thread.

template <int n>
__global__ void add_flat_kernel(Vec<float> out, Vec<float> a, Vec<float> b) {
  const std::int64_t i = n * global_x();
  if (i >= out.count) return;
  Floats<n> sum = load_floats<n, true>(a, i);
  const Floats<n> other = load_floats<n, true>(b, i);
#pragma unroll
  for (int k = 0; k < n; ++k) sum.at[k] += other.at[k];
  store_floats<n, true>(out, i, sum);
}

template <int n>
__global__ void scale_flat_kernel(Vec<float> inout, Vec<float> factor) {
  const std::int64_t i = n * global_x();
  if (i >= inout.count) return;
  Floats<n> values = load_floats<n, true>(inout, i);
  const float by = factor.load(0);
#pragma unroll
  for (int k = 0; k < n; ++k) values.at[k] *= by;
  store_floats<n, true>(inout, i, values);
}

dim3 flat_grid(std::int64_t count, int n) { return {blocks_for(packs_in(count, n), threads)}; }

}  // namespace

void CudaKernels::add(const Tensor& out, const Tensor& a, const Tensor& b) {
  if (out.size() == 0) return;
  if (out.contiguous() && a.contiguous() && b.contiguous()) {
    const Vec<float> to = vec<float>(out);
    const Vec<float> x = vec<float>(a);
    const Vec<float> y = vec<float>(b);
    with_pack<4>(packs<4>(to, x, y), [&]<int n>() {
      launch(stream(), flat_grid(to.count, n), {threads}, &add_flat_kernel<n>, to, x, y);
    });
    return;
  }
  const Strides to(out);
  const Strides from_a(a);
  const Strides from_b(b);
  launch(stream(), {blocks_for(out.size(), threads)}, {threads}, &add_kernel,
         strided<float>(out, to), to, strided<float>(a, from_a), from_a, strided<float>(b, from_b),
         from_b, out.size());
}

void CudaKernels::scale_by(const Tensor& inout, const Tensor& factor) {
  if (inout.size() == 0) return;
  if (inout.contiguous()) {
    const Vec<float> x = vec<float>(inout);
    with_pack<4>(packs<4>(x), [&]<int n>() {
      launch(stream(), flat_grid(x.count, n), {threads}, &scale_flat_kernel<n>, x,
             vec<float>(factor));
    });
    return;
  }
  const Strides at(inout);
  launch(stream(), {blocks_for(inout.size(), threads)}, {threads}, &scale_kernel,
         strided<float>(inout, at), at, vec<float>(factor), inout.size());
}

}  // namespace concordat::device::cuda
