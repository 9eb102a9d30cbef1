#include "device/cuda/cuda_stream.hpp"

#include <atomic>
#include <exception>
#include <mutex>

namespace concordat::device::cuda {

/// The first exception of host work. Later host work is dropped, events and synchronize rethrow.
struct CudaStream::Failure {
  std::mutex mutex;
  std::exception_ptr first;

  bool there() {
    std::lock_guard lock(mutex);
    return first != nullptr;
  }
  void keep(std::exception_ptr failure) {
    std::lock_guard lock(mutex);
    if (!first) first = std::move(failure);
  }
  void rethrow() {
    std::exception_ptr failure;
    {
      std::lock_guard lock(mutex);
      failure = first;
    }
    if (failure) std::rethrow_exception(failure);
  }
};

class CudaStream::RecordedEvent final : public Event::State {
 public:
  RecordedEvent(std::shared_ptr<Device> device, std::shared_ptr<Failure> failure, EventHandle event)
      : device_(std::move(device)), failure_(std::move(failure)), event_(std::move(event)) {}
  bool happened() const override {
    const cudaError_t status = cudaEventQuery(event_.get());
    if (status != cudaErrorNotReady) check(status, "cudaEventQuery");
    return status == cudaSuccess;
  }
  void wait() override {
    device_->await(event_.get());
    failure_->rethrow();
  }
  cudaEvent_t handle() const { return event_.get(); }

 private:
  std::shared_ptr<Device> device_;  // the context outlives its events
  std::shared_ptr<Failure> failure_;
  EventHandle event_;
};

/// Owned by the stream and not by the call: what it holds may be device memory, which must not be
/// given back on CUDA's thread.
struct CudaStream::HostWork {
  std::function<void()> work;
  std::shared_ptr<Failure> failure;
  std::atomic<bool> finished = false;

  static void run(void* argument) {
    auto& self = *static_cast<HostWork*>(argument);
    if (!self.failure->there()) {
      try {
        self.work();
      } catch (...) {
        self.failure->keep(std::current_exception());
      }
    }
    self.finished = true;
  }
};

namespace {

StreamHandle make_stream_handle() {
  cudaStream_t stream = nullptr;
  // Non-blocking: not ordered with the legacy default stream, which nobody here uses.
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return StreamHandle(stream);
}

}  // namespace

CudaStream::CudaStream(std::shared_ptr<Device> device, Use use)
    : device_(std::move(device)),
      use_(use),
      handle_(make_stream_handle()),
      failure_(std::make_shared<Failure>()),
      kernels_(*this, *device_) {
  device_->streams.add(handle_.get());
}

CudaStream::~CudaStream() {
  try {
    device_->await(handle_.get());
  } catch (const std::exception&) {
    // Nothing that could hang is in the stream any more.
  }
  static_cast<void>(cudaStreamSynchronize(handle_.get()));
  device_->streams.remove(handle_.get());
}

void CudaStream::enqueue(std::function<void()> work) {
  device_->require_no_capture("work for the host");
  forget_finished_work();
  auto held = std::make_unique<HostWork>();
  held->work = std::move(work);
  held->failure = failure_;
  check(cudaLaunchHostFunc(handle_.get(), &HostWork::run, held.get()), "cudaLaunchHostFunc");
  host_work_.push_back(std::move(held));
}

void CudaStream::forget_finished_work() {
  while (!host_work_.empty() && host_work_.front()->finished) host_work_.pop_front();
}

Event CudaStream::record() {
  device_->require_no_capture("an event");
  EventHandle event = make_event();
  check(cudaEventRecord(event.get(), handle_.get()), "cudaEventRecord");
  return Event(std::make_shared<RecordedEvent>(device_, failure_, std::move(event)));
}

void CudaStream::wait(const Event& event) {
  device_->require_no_capture("waiting for an event");
  if (const auto* ours = dynamic_cast<const RecordedEvent*>(event.state().get())) {
    check(cudaStreamWaitEvent(handle_.get(), ours->handle(), 0), "cudaStreamWaitEvent");
    return;
  }
  event.wait();
}

void CudaStream::synchronize() {
  device_->require_no_capture("waiting for a stream");
  device_->await(handle_.get());
  forget_finished_work();
  failure_->rethrow();
}

}  // namespace concordat::device::cuda
