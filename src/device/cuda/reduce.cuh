// Reductions in a fixed order: over the lanes of a warp by a butterfly, over the warps of a block
// in ascending order. The same shapes give the same bits.
#pragma once

#include "device/cuda/launch.cuh"

namespace concordat::device::cuda {

template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(whole_warp, value, step);
  return value;
}

__device__ __forceinline__ float larger(float a, float b) { return a > b ? a : b; }

__device__ __forceinline__ float warp_max(float value) {
  for (int step = 16; step > 0; step /= 2) {
    value = larger(value, __shfl_xor_sync(whole_warp, value, step));
  }
  return value;
}

/// Over a one-dimensional block of whole warps; every thread gets the sum. Calls need no barrier
/// between them.
template <typename T>
__device__ __forceinline__ T block_sum(T value) {
  __shared__ Shared<T, 32> partial;
  value = warp_sum(value);
  if (threadIdx.x % lanes == 0) partial.store(static_cast<int>(threadIdx.x / lanes), value);
  __syncthreads();
  T total = 0;
  for (unsigned i = 0; i < blockDim.x / lanes; ++i) total += partial.load(static_cast<int>(i));
  __syncthreads();
  return total;
}

__device__ __forceinline__ float block_max(float value) {
  __shared__ Shared<float, 32> partial;
  value = warp_max(value);
  if (threadIdx.x % lanes == 0) partial.store(static_cast<int>(threadIdx.x / lanes), value);
  __syncthreads();
  float largest = partial.load(0);
  for (unsigned i = 1; i < blockDim.x / lanes; ++i) {
    largest = larger(largest, partial.load(static_cast<int>(i)));
  }
  __syncthreads();
  return largest;
}

}  // namespace concordat::device::cuda
