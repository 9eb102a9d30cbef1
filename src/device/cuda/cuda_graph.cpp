#include "device/cuda/cuda_graph.hpp"

#include <utility>

namespace concordat::device::cuda {
namespace {

/// The stream records from begin() to finish(), or until this goes.
class Recording {
 public:
  Recording(Device& device, cudaStream_t stream) : device_(device), stream_(stream) {}
  ~Recording() { end(); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// @pre the stream is empty: memory that others give back meanwhile has no event in it.
  void begin() {
    device_.begin_capture();
    open_ = true;
    device_.streams.remove(stream_);
    // Of this thread alone: what CUDA forbids in a capture others may do.
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
    records_ = true;
  }
  GraphHandle finish() {
    cudaGraph_t graph = nullptr;
    records_ = false;
    const cudaError_t status = cudaStreamEndCapture(stream_, &graph);
    GraphHandle made(graph);
    CONCORDAT_REQUIRE(end(), "memory was given back in the middle of a capture");
    check(status, "cudaStreamEndCapture");
    return made;
  }

 private:
  /// False: memory was given back meanwhile.
  bool end() {
    if (records_) {
      cudaGraph_t graph = nullptr;
      static_cast<void>(cudaStreamEndCapture(stream_, &graph));
      const GraphHandle unfinished(graph);
      cudaGetLastError();
    }
    records_ = false;
    if (!std::exchange(open_, false)) return true;
    device_.streams.add(stream_);
    return device_.end_capture();
  }
  Device& device_;
  cudaStream_t stream_;
  bool open_ = false;
  bool records_ = false;
};

class CudaGraph final : public Graph {
 public:
  CudaGraph(std::shared_ptr<Device> device, cudaStream_t stream, GraphExecHandle graph)
      : device_(std::move(device)), stream_(stream), graph_(std::move(graph)) {}
  void launch() override {
    device_->require_no_capture("a graph");
    check(cudaGraphLaunch(graph_.get(), stream_), "cudaGraphLaunch");
  }

 private:
  std::shared_ptr<Device> device_;
  cudaStream_t stream_;
  GraphExecHandle graph_;
};

}  // namespace

std::unique_ptr<Graph> capture(const std::shared_ptr<Device>& device, CudaStream& stream,
                               const std::function<void()>& work) {
  stream.synchronize();
  Recording recording(*device, stream.handle());
  recording.begin();
  work();
  const GraphHandle graph = recording.finish();
  cudaGraphExec_t made = nullptr;
  check(cudaGraphInstantiateWithFlags(&made, graph.get(), 0), "cudaGraphInstantiateWithFlags");
  return std::make_unique<CudaGraph>(device, stream.handle(), GraphExecHandle(made));
}

}  // namespace concordat::device::cuda
