// Device: one GPU as this process sees it. Shared by the back end, its streams and its tensors, so
// the memory outlives whoever made it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "concordat/core/bytes.hpp"
#include "concordat/core/tensor.hpp"
#include "device/cuda/blas.hpp"
#include "device/cuda/memory_pool.hpp"
#include "device/cuda/watch.hpp"

namespace concordat::device::cuda {

struct CudaOptions {
  int local_rank = 0;  ///< as in BackendOptions
  /// Memory goes to CUDA and back with every tensor, and scratch starts as NaN: slow, for checkers
  /// (the emulated runtime of the tests, compute-sanitizer).
  bool checking = false;
  bool tf32 = false;  ///< BackendOptions
};

class Device : public std::enable_shared_from_this<Device> {
 public:
  /// The visible GPU of this rank, and makes it the calling thread's. The batch system decides
  /// which ones a rank sees.
  /// @throws Error(device.no_gpu) without driver or GPU, or with one that is too old.
  static std::shared_ptr<Device> open(const CudaOptions& options);

  Tensor allocate(Dtype dtype, Shape shape);
  const CudaOptions& options() const { return options_; }
  /// "NVIDIA H100 (sm_90), CUDA 13.0, driver 13.0, cuBLASLt 13.1": part of a checkpoint's record.
  const std::string& description() const { return description_; }

  /// Of tensors' storage.
  void give_back(MemoryPool::Block block) noexcept;

  /// From now on the calling thread may put nothing but ops into this device's streams.
  void begin_capture();
  /// False: it gave memory back meanwhile, which only now goes to the pool.
  bool end_capture() noexcept;
  /// @throws Bug between the two, naming `what`.
  void require_no_capture(const char* what) const;

  /// Unique among all GPUs of all machines.
  const Bytes& identity() const { return identity_; }

  /// The host waits. @throws what is wrong with the GPU, or what the watch says.
  void await(cudaEvent_t event) const;
  void await(cudaStream_t stream) const;
  /// Who is asked while the host waits, for as long as it lives. @pre one at a time.
  void set_watch(const std::shared_ptr<Watch>& watch);

  StreamList streams;
  MemoryPool memory;
  MemoryPool pinned;
  Blas blas;

 private:
  Device(const CudaOptions& options, int ordinal);
  CudaOptions options_;
  Bytes identity_;
  std::weak_ptr<Watch> watch_;
  std::string description_;
  std::atomic<std::thread::id> capturing_{};
  std::vector<MemoryPool::Block> given_back_in_capture_;
};

}  // namespace concordat::device::cuda
