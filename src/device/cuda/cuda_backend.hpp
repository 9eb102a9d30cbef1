// The `cuda` back end: NVIDIA GPUs from sm_80 upward, cuBLASLt products and own kernels.
#pragma once

#include <memory>

#include "concordat/device/backend.hpp"
#include "device/cuda/device.hpp"

namespace concordat::device::cuda {

/// @throws Error(device.no_gpu)
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options);

}  // namespace concordat::device::cuda
