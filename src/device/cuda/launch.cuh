// Starting a kernel, and the shapes of grids.
//
//   launch(stream_, {blocks}, {256}, &scale_kernel, vec<float>(x), 2.0F);
//
// It is the runtime's typed launch and not <<<>>>, so that a C++ compiler reads it too.
#pragma once

#include <algorithm>
#include <type_traits>

#include "cuda_access.cuh"
#include "device/cuda/check.hpp"

namespace concordat::device::cuda {

constexpr unsigned lanes = 32;
constexpr unsigned whole_warp = 0xFFFFFFFFU;

template <typename... Params>
void launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(Params...),
            const std::type_identity_t<Params>&... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, Params(args)...), "cudaLaunchKernelEx");
}

/// ceil(count / each), at least 1 (an empty grid is an error), at most what fits a grid's x.
inline unsigned blocks_for(std::int64_t count, std::int64_t each) {
  const std::int64_t wanted = (count + each - 1) / each;
  return static_cast<unsigned>(std::clamp<std::int64_t>(wanted, 1, 0x7FFFFFFF));
}

/// Threads of a block for `width` elements side by side: whole warps, at most `most`.
inline unsigned threads_for(std::int64_t width, unsigned most = 256) {
  const std::int64_t warps = std::max<std::int64_t>(1, (width + lanes - 1) / lanes);
  return static_cast<unsigned>(std::min<std::int64_t>(most, warps * lanes));
}

/// One thread per element of [rows, cols]: columns along x, rows along y. Kernels step over rows by
/// gridDim.y, which is limited.
struct Plane {
  dim3 grid, block;
  Plane(std::int64_t rows, std::int64_t cols)
      : grid(blocks_for(cols, threads_for(cols)),
             static_cast<unsigned>(std::clamp<std::int64_t>(rows, 1, 65535))),
        block(threads_for(cols)) {}
};

__device__ __forceinline__ std::int64_t global_x() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

}  // namespace concordat::device::cuda
