// Kernels in which a warp takes a row: lanes along threadIdx.x, the warps of a block along y. A
// warp whose row is beyond the end leaves whole.
#pragma once

#include "device/cuda/launch.cuh"

namespace concordat::device::cuda {

constexpr unsigned warps_per_block = 4;

inline dim3 row_block() { return {lanes, warps_per_block}; }
inline dim3 row_grid(std::int64_t rows) { return {blocks_for(rows, warps_per_block)}; }

__device__ __forceinline__ std::int64_t row_of_warp() {
  return std::int64_t{blockIdx.x} * warps_per_block + threadIdx.y;
}

}  // namespace concordat::device::cuda
