// Every CUDA and cuBLASLt call goes through check(): a failure becomes an Error that names the
// call, the code and what can be done.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <string>
#include <string_view>

namespace concordat::device::cuda {

/// @throws Error(device.cuda_failed | device.cuda_out_of_memory)
void check(cudaError_t status, const char* call, const char* file = __builtin_FILE(),
           int line = __builtin_LINE());
/// @throws Error(device.cuda_failed)
void check(cublasStatus_t status, const char* call, const char* file = __builtin_FILE(),
           int line = __builtin_LINE());

/// "cudaMemcpyAsync in transfers.cpp:63"
std::string place_of(const char* call, std::string_view file, int line);

}  // namespace concordat::device::cuda
