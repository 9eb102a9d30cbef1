// Runs a kernel: one block after the other, the CUDA threads of a block as fibers that take turns
// at barriers and warp primitives, so each of them is executed as CUDA defines it.
//
// Caught: a barrier that not all threads of the block reach, a warp primitive that not all lanes
// reach, threads that wait for each other for ever, and what cuda_access.cuh checks.
#pragma once

#include <functional>
#include <stdexcept>

#include "cuda_runtime.h"

namespace cuda_emulator {

/// A kernel did what the hardware punishes or leaves undefined.
class KernelFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Blocks, and the threads of a block between barriers, run from the last to the first.
inline constinit bool from_the_last = false;

/// @throws KernelFault
void run_grid(dim3 grid, dim3 block, const std::function<void()>& body);

}  // namespace cuda_emulator
