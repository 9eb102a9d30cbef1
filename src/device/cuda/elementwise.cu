// fill, copy (and cast), add, scale_by. Bytes moved per element: fill 1 x, copy 2 x, add 3 x and
// scale_by 2 x the element's size.
#include <cstring>

#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

constexpr int most_axes = 6;
constexpr unsigned threads = 256;

/// Which element of a strided tensor is the i-th in row-major order.
struct Strides {
  int axes = 0;
  std::int64_t shape[most_axes] = {};
  std::int64_t strides[most_axes] = {};
  std::int64_t extent = 0;  ///< elements from the first to the last one

  explicit Strides(const Tensor& t) {
    CONCORDAT_REQUIRE(t.rank() <= most_axes, to_string(t.shape()));
    extent = 1;
    // A contiguous tensor is one axis: no divisions in the kernel.
    const bool flat = t.contiguous();
    axes = flat ? 1 : t.rank();
    for (int i = 0; i < axes; ++i) {
      shape[i] = flat ? t.size() : t.dim(i);
      strides[i] = flat ? 1 : t.strides()[static_cast<std::size_t>(i)];
      extent += (shape[i] - 1) * strides[i];
    }
  }
  __device__ __forceinline__ std::int64_t at(std::int64_t i) const {
    if (axes == 1) return i * strides[0];
    std::int64_t offset = 0;
    for (int axis = axes - 1; axis >= 0; --axis) {
      offset += i % shape[axis] * strides[axis];
      i /= shape[axis];
    }
    return offset;
  }
};

template <typename T>
Vec<T> strided(const Tensor& t, const Strides& strides) {
  return {reinterpret_cast<T*>(t.raw_bytes()), strides.extent};
}

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
  const Strides to(out);
  with_bits(out.dtype(), [&]<typename T>() {
    launch(stream(), {blocks_for(out.size(), threads)}, {threads}, &fill_kernel<T>,
           strided<T>(out, to), to, static_cast<T>(bits_of(out.dtype(), value)), out.size());
  });
}

void CudaKernels::copy(const Tensor& out, const Tensor& in) {
  if (out.size() == 0) return;
  if (out.dtype() == in.dtype() && out.contiguous() && in.contiguous()) {
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
        launch(stream(), blocks, {threads}, &cast_kernel<To, From>, strided<To>(out, to), to,
               strided<From>(in, from), from, out.size());
      }
    });
  });
}

void CudaKernels::add(const Tensor& out, const Tensor& a, const Tensor& b) {
  if (out.size() == 0) return;
  const Strides to(out);
  const Strides from_a(a);
  const Strides from_b(b);
  launch(stream(), {blocks_for(out.size(), threads)}, {threads}, &add_kernel,
         strided<float>(out, to), to, strided<float>(a, from_a), from_a, strided<float>(b, from_b),
         from_b, out.size());
}

void CudaKernels::scale_by(const Tensor& inout, const Tensor& factor) {
  if (inout.size() == 0) return;
  const Strides at(inout);
  launch(stream(), {blocks_for(inout.size(), threads)}, {threads}, &scale_kernel,
         strided<float>(inout, at), at, vec<float>(factor), inout.size());
}

}  // namespace concordat::device::cuda
