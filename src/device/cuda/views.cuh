// What kernels get for a tensor: a pointer with its extents, read and written by load and store
// alone, so that the emulated build can check each access against the tensor it belongs to.
//
//   Rows<float> x = rows<float>(tensor);      // on the host: [rows, cols], last stride 1
//   y.store(r, c, 2.0F * x.load(r, c));       // in a kernel
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda_access.cuh"
#include "device/views.hpp"

namespace concordat::device::cuda {

template <typename T>
struct Vec {
  T* data;
  std::int64_t count;
  __device__ __forceinline__ T load(std::int64_t i) const {
    in_bounds(i, count);
    return read(data + i);
  }
  __device__ __forceinline__ void store(std::int64_t i, T value) const {
    in_bounds(i, count);
    write(data + i, value);
  }
};

template <typename T>
struct Rows {
  T* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t stride;
  __device__ __forceinline__ T load(std::int64_t r, std::int64_t c) const {
    in_bounds(r, rows);
    in_bounds(c, cols);
    return read(data + r * stride + c);
  }
  __device__ __forceinline__ void store(std::int64_t r, std::int64_t c, T value) const {
    in_bounds(r, rows);
    in_bounds(c, cols);
    write(data + r * stride + c, value);
  }
};

/// The Dtype of a type that kernels compute or store in.
template <typename T>
inline constexpr Dtype element_dtype = dtype_of<T>;
template <>
inline constexpr Dtype element_dtype<__nv_bfloat16> = Dtype::bf16;
template <>
inline constexpr Dtype element_dtype<__half> = Dtype::f16;

template <typename T>
T* pointer(const Tensor& t) {
  CONCORDAT_REQUIRE(t.dtype() == element_dtype<T>, std::string(name_of(t.dtype())));
  return reinterpret_cast<T*>(t.raw_bytes());
}

/// A contiguous tensor. Of an empty one: no elements.
template <typename T>
Vec<T> vec(const Tensor& t) {
  if (t.empty()) return {nullptr, 0};
  return {pointer<T>(t), t.size()};
}

/// A matrix with dense rows, or any contiguous tensor as one long row.
template <typename T>
Rows<T> rows(const Tensor& t) {
  if (t.rank() == 2) return {pointer<T>(t), t.dim(0), t.dim(1), t.strides()[0]};
  return {pointer<T>(t), 1, t.size(), t.size()};
}

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float widen(__half x) { return __half2float(x); }

/// Rounds to nearest even.
template <typename T>
__device__ __forceinline__ T narrow(float x) {
  if constexpr (element_dtype<T> == Dtype::bf16) {
    return __float2bfloat16_rn(x);
  } else if constexpr (element_dtype<T> == Dtype::f16) {
    return __float2half_rn(x);
  } else {
    return x;
  }
}

/// Calls `work.template operator()<T>()` with the element type of a floating dtype other than f64.
template <typename Work>
void with_format(Dtype dtype, Work&& work) {
  switch (dtype) {
    case Dtype::bf16:
      return work.template operator()<__nv_bfloat16>();
    case Dtype::f16:
      return work.template operator()<__half>();
    default:
      return work.template operator()<float>();
  }
}

}  // namespace concordat::device::cuda
