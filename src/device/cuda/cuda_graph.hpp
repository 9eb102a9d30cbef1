// Capture of what one thread puts into one stream of ops (device/graph.hpp) as a CUDA graph.
#pragma once

#include <functional>
#include <memory>

#include "concordat/device/graph.hpp"
#include "device/cuda/cuda_stream.hpp"

namespace concordat::device::cuda {

/// As Backend::capture. Other threads of this process go on meanwhile, also on this device.
std::unique_ptr<Graph> capture(const std::shared_ptr<Device>& device, CudaStream& stream,
                               const std::function<void()>& work);

}  // namespace concordat::device::cuda
