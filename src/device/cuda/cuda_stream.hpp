// CudaStream: a Stream whose order is that of a CUDA stream.
//
// Host work (enqueue) runs on a thread of CUDA's in stream order; it must not call CUDA. Waiting
// for an event of another CUDA stream costs the host nothing; waiting for one of a host thread's
// stream (messages) holds up the host until it has happened.
#pragma once

#include <deque>
#include <memory>

#include "concordat/core/stream.hpp"
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/device.hpp"

namespace concordat::device::cuda {

class CudaStream final : public Stream {
 public:
  enum class Use { ops, messages };
  explicit CudaStream(std::shared_ptr<Device> device, Use use = Use::ops);
  /// Waits for what is enqueued, so that host work's owners may go.
  ~CudaStream() override;
  void enqueue(std::function<void()> work) override;
  Event record() override;
  void wait(const Event& event) override;
  void synchronize() override;

  CudaKernels& kernels() { return kernels_; }
  Use use() const { return use_; }
  cudaStream_t handle() const { return handle_.get(); }

 private:
  struct Failure;
  class RecordedEvent;
  struct HostWork;
  void forget_finished_work();

  std::shared_ptr<Device> device_;
  Use use_;
  StreamHandle handle_;
  std::shared_ptr<Failure> failure_;
  std::deque<std::unique_ptr<HostWork>> host_work_;  // in stream order
  CudaKernels kernels_;
};

}  // namespace concordat::device::cuda
