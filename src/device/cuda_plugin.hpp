// Finds and loads the plug-in of the `cuda` back end, so that this program needs no CUDA library.
//
// It is looked for at CONCORDAT_CUDA_PLUGIN (a file), else as libconcordat_cuda.so beside the
// program or in ../lib/concordat. It is asked for its contract first and stays loaded until the
// process ends.
#pragma once

#include <memory>

#include "concordat/device/backend.hpp"

namespace concordat::device {

/// @throws Error(device.no_cuda_plugin) where it is absent, does not load, or was built from other
/// contracts; Error(device.no_gpu) where it finds no GPU.
std::unique_ptr<Backend> make_cuda_plugin_backend(const BackendOptions& options);

}  // namespace concordat::device
