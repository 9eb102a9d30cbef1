#include "device/cuda/check.hpp"

#include "concordat/device/errors.hpp"

namespace concordat::device::cuda {
namespace {

std::string remedy(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "lower the micro-batch or the sequence length, or split the model over more ranks";
    case cudaErrorInsufficientDriver:
      return "install a driver for this CUDA runtime, or set train.device=cpu";
    case cudaErrorNoDevice:
      return "ask the batch system for a GPU, or set train.device=cpu";
    default:
      return "start again from the newest generation; if it comes back, look at dmesg for Xid "
             "lines "
             "and run under compute-sanitizer";
  }
}

}  // namespace

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // the runtime hands an error out again otherwise, at a call that is innocent
  throw Error(
      status == cudaErrorMemoryAllocation ? errors::cuda_out_of_memory : errors::cuda_failed,
      {.what = "a CUDA call failed (or an earlier one that ran meanwhile)",
       .where = place_of(call, file, line),
       .found = std::string(cudaGetErrorName(status)) + " (" +
                std::to_string(static_cast<int>(status)) + "): " + cudaGetErrorString(status),
       .expected = "cudaSuccess",
       .remedy = remedy(status)});
}

void check(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(errors::cuda_failed, {.what = "a cuBLASLt call failed",
                                    .where = place_of(call, file, line),
                                    .found = std::string(cublasLtGetStatusName(status)) + " (" +
                                             std::to_string(static_cast<int>(status)) +
                                             "): " + cublasLtGetStatusString(status),
                                    .expected = "CUBLAS_STATUS_SUCCESS",
                                    .remedy = remedy(cudaErrorUnknown)});
}

std::string place_of(const char* call, std::string_view file, int line) {
  if (const auto slash = file.rfind('/'); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  return std::string(call) + " in " + std::string(file) + ":" + std::to_string(line);
}

}  // namespace concordat::device::cuda
