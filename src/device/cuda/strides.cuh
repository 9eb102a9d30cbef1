// Tensors of any strides, for kernels that walk over elements in row-major order.
#pragma once

#include "device/cuda/views.cuh"

namespace concordat::device::cuda {

constexpr int most_axes = 6;

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

}  // namespace concordat::device::cuda
