// Sums over rows, in two steps: a block adds up a stretch of rows for its columns, a second kernel
// the stretches in ascending order. The stretch is part of the order.
#pragma once

#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {

constexpr std::int64_t stretch = 64;

inline std::int64_t stretches_of(std::int64_t rows) { return (rows + stretch - 1) / stretch; }

/// For kernels whose blockIdx.y is the stretch and whose global_x() is one of `width` groups of
/// columns.
inline dim3 stretch_grid(std::int64_t rows, std::int64_t width) {
  CONCORDAT_REQUIRE(stretches_of(rows) <= 65535, std::to_string(rows) + " rows");
  return {blocks_for(width, threads_for(width)), static_cast<unsigned>(stretches_of(rows))};
}

/// [stretches, width] in scratch, the `nth` such table of it.
inline Rows<float> partials(const Tensor& scratch, std::int64_t rows, std::int64_t width,
                            std::int64_t nth = 0) {
  const std::int64_t stretches = stretches_of(rows);
  return {reinterpret_cast<float*>(scratch.raw_bytes()) + nth * stretches * width, stretches, width,
          width};
}

/// out[c] += the sum of column c, stretches in ascending order.
void add_partials(cudaStream_t stream, const Tensor& out, const Rows<float>& partial);

}  // namespace concordat::device::cuda
