// fill and copy (and cast). Bytes moved per element: fill 1 x, copy 2 x the element's size.
// Contiguous tensors are walked over in groups of 128 bits, others element by element.
#include <cstring>

#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"
#include "device/cuda/strides.cuh"

namespace concordat::device::cuda {
namespace {

constexpr unsigned threads = 256;

/// f64 to 16 bits goes through f32, as on every back end.
template <typename To, typename From>
__device__ __forceinline__ To cast(From x) {
  if constexpr (element_dtype<To> == Dtype::f64) {
    return double{widen(x)};
  } else if constexpr (element_dtype<From> == Dtype::f64) {
    return narrow<To>(static_cast<float>(x));
  } else {
    return narrow<To>(widen(x));
  }
}

// __grid_constant__: else each thread would copy the arrays of a Strides to its stack.

template <typename T>
__global__ void fill_kernel(Vec<T> out, const __grid_constant__ Strides to, T value,
                            std::int64_t count) {
  const std::int64_t i = global_x();
  if (i < count) out.store(to.at(i), value);
}

template <typename To, typename From>
__global__ void cast_kernel(Vec<To> out, const __grid_constant__ Strides to, Vec<From> in,
                            const __grid_constant__ Strides from, std::int64_t count) {
  const std::int64_t i = global_x();
  if (i < count) out.store(to.at(i), cast<To>(in.load(from.at(i))));
}

template <typename T>
__global__ void copy_kernel(Vec<T> out, const __grid_constant__ Strides to, Vec<T> in,
                            const __grid_constant__ Strides from, std::int64_t count) {
  const std::int64_t i = global_x();
  if (i < count) out.store(to.at(i), in.load(from.at(i)));
}

// The same for contiguous tensors, n elements a thread.

template <int n, typename T>
__global__ void fill_flat_kernel(Rows<T> out, T value) {
  const std::int64_t i = n * global_x();
  if (i >= out.cols) return;
  Pack<T, n> values;
#pragma unroll
  for (int k = 0; k < n; ++k) values.at[k] = value;
  store_pack<n, true>(out, 0, i, out.cols, values);
}

template <int n, typename To, typename From>
__global__ void cast_flat_kernel(Rows<To> out, Rows<From> in) {
  const std::int64_t i = n * global_x();
  if (i >= out.cols) return;
  const Pack<From, n> values = load_pack<n, true>(in, 0, i, in.cols);
  Pack<To, n> made;
#pragma unroll
  for (int k = 0; k < n; ++k) made.at[k] = cast<To>(values.at[k]);
  store_pack<n, true>(out, 0, i, out.cols, made);
}

/// A contiguous tensor as one row.
template <typename T>
Rows<T> flat(const Tensor& t) {
  return {reinterpret_cast<T*>(t.raw_bytes()), 1, t.size(), t.size()};
}

dim3 flat_grid(std::int64_t count, int n) { return {blocks_for(packs_in(count, n), threads)}; }

/// Calls work with an unsigned type of the dtype's size: bits, so that any payload survives.
template <typename Work>
void with_bits(Dtype dtype, Work&& work) {
  switch (size_of(dtype)) {
    case 1:
      return work.template operator()<std::uint8_t>();
    case 2:
      return work.template operator()<std::uint16_t>();
    case 4:
      return work.template operator()<std::uint32_t>();
    default:
      return work.template operator()<std::uint64_t>();
  }
}

template <typename Work>
void with_floating(Dtype dtype, Work&& work) {
  if (dtype == Dtype::f64) return work.template operator()<double>();
  with_format(dtype, work);
}

std::uint64_t bits_of(Dtype dtype, double value) {
  std::uint64_t bits = 0;
  const auto as = [&](auto typed) { std::memcpy(&bits, &typed, sizeof typed); };
  switch (dtype) {
    case Dtype::f32:
      as(static_cast<float>(value));
      break;
    case Dtype::f64:
      as(value);
      break;
    case Dtype::bf16:
      as(to_bf16(static_cast<float>(value)));
      break;
    case Dtype::f16:
      as(to_f16(static_cast<float>(value)));
      break;
    case Dtype::i32:
      as(static_cast<std::int32_t>(value));
      break;
    case Dtype::i64:
      as(static_cast<std::int64_t>(value));
      break;
    case Dtype::u8:
      as(static_cast<std::uint8_t>(value));
      break;
    case Dtype::u16:
      as(static_cast<std::uint16_t>(value));
      break;
    case Dtype::u32:
      as(static_cast<std::uint32_t>(value));
      break;
  }
  return bits;
}

}  // namespace

void CudaKernels::fill(const Tensor& out, const double& value) {
  if (out.size() == 0) return;
  with_bits(out.dtype(), [&]<typename T>() {
    const auto bits = static_cast<T>(bits_of(out.dtype(), value));
    if (!out.contiguous()) {
      const Strides to(out);
      launch(stream(), {blocks_for(out.size(), threads)}, {threads}, &fill_kernel<T>,
             strided<T>(out, to), to, bits, out.size());
      return;
    }
    const auto to = flat<T>(out);
    constexpr int most = pack_of<T>;
    with_pack<most>(packs<most>(to), [&]<int n>() {
      launch(stream(), flat_grid(to.cols, n), {threads}, &fill_flat_kernel<n, T>, to, bits);
    });
  });
}

void CudaKernels::copy(const Tensor& out, const Tensor& in) {
  if (out.size() == 0) return;
  const bool dense = out.contiguous() && in.contiguous();
  if (out.dtype() == in.dtype() && dense) {
    check(cudaMemcpyAsync(out.raw_bytes(), in.raw_bytes(), out.size_bytes(),
                          cudaMemcpyDeviceToDevice, stream()),
          "cudaMemcpyAsync");
    return;
  }
  const Strides to(out);
  const Strides from(in);
  const dim3 blocks(blocks_for(out.size(), threads));
  if (out.dtype() == in.dtype()) {
    with_bits(out.dtype(), [&]<typename T>() {
      launch(stream(), blocks, {threads}, &copy_kernel<T>, strided<T>(out, to), to,
             strided<T>(in, from), from, out.size());
    });
    return;
  }
  with_floating(out.dtype(), [&]<typename To>() {
    with_floating(in.dtype(), [&]<typename From>() {
      if constexpr (element_dtype<To> != element_dtype<From>) {
        if (!dense) {
          launch(stream(), blocks, {threads}, &cast_kernel<To, From>, strided<To>(out, to), to,
                 strided<From>(in, from), from, out.size());
          return;
        }
        const auto y = flat<To>(out);
        const auto x = flat<From>(in);
        constexpr int most = pack_of<To, From>;
        with_pack<most>(packs<most>(y, x), [&]<int n>() {
          launch(stream(), flat_grid(y.cols, n), {threads}, &cast_flat_kernel<n, To, From>, y, x);
        });
      }
    });
  });
}

}  // namespace concordat::device::cuda
