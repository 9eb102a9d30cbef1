// How kernels touch memory: plain loads and stores. The emulated CUDA of the tests has a twin of
// this file (tests/support/cuda_emulator/include) in which each of these is checked; which of the
// two a build takes is its include path.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace concordat::device::cuda {

template <typename T>
__device__ __forceinline__ T read(const T* from) {
  return *from;
}

template <typename T>
__device__ __forceinline__ void write(T* to, T value) {
  *to = value;
}

/// @pre 0 <= index < count.
__device__ __forceinline__ void in_bounds(std::int64_t, std::int64_t) {}

/// Shared memory of one block: `__shared__ Shared<float, 32> partial;`.
template <typename T, int count>
class Shared {
 public:
  __device__ __forceinline__ T load(int i) const { return values_[i]; }
  __device__ __forceinline__ void store(int i, T value) { values_[i] = value; }
  __device__ __forceinline__ const T* address_of(int i) const { return values_ + i; }

 private:
  alignas(16) T values_[count];
};

}  // namespace concordat::device::cuda
