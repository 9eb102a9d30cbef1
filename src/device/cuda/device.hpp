// Device: one GPU as this process sees it. Shared by the back end, its streams and its tensors, so
// the memory outlives whoever made it.
#pragma once

#include <memory>
#include <string>

#include "concordat/core/tensor.hpp"
#include "device/cuda/blas.hpp"
#include "device/cuda/memory_pool.hpp"

namespace concordat::device::cuda {

struct CudaOptions {
  /// Memory goes to CUDA and back with every tensor, and scratch starts as NaN: slow, for checkers
  /// (the emulated runtime of the tests, compute-sanitizer).
  bool checking = false;
  bool tf32 = false;  ///< BackendOptions
};

class Device : public std::enable_shared_from_this<Device> {
 public:
  /// The first visible GPU: the batch system decides which one a rank sees.
  /// @throws Error(device.no_gpu) without driver or GPU, or with one that is too old.
  static std::shared_ptr<Device> open(const CudaOptions& options);

  Tensor allocate(Dtype dtype, Shape shape);
  const CudaOptions& options() const { return options_; }
  /// "NVIDIA H100 (sm_90), CUDA 13.0, driver 13.0, cuBLASLt 13.1": part of a checkpoint's record.
  const std::string& description() const { return description_; }

  StreamList streams;
  MemoryPool memory;
  MemoryPool pinned;
  Blas blas;

 private:
  Device(const CudaOptions& options, std::string description);
  CudaOptions options_;
  std::string description_;
};

}  // namespace concordat::device::cuda
