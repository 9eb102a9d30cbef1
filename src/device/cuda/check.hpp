// Every CUDA and cuBLASLt call goes through check(): a failure becomes an Error that names the
// call, the code and what can be done.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <source_location>

namespace concordat::device::cuda {

/// @throws Error(device.cuda_failed | device.cuda_out_of_memory)
void check(cudaError_t status, const char* call,
           std::source_location at = std::source_location::current());
/// @throws Error(device.cuda_failed)
void check(cublasStatus_t status, const char* call,
           std::source_location at = std::source_location::current());

}  // namespace concordat::device::cuda
