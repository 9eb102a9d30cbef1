// The API functions for graphs of include/cuda_runtime.h. A graph is what one stream recorded:
// forks to other streams are refused.
#include <utility>

#include "machine.hpp"

using cuda_emulator::Call;
using cuda_emulator::Capture;
using cuda_emulator::machine;

namespace {

bool known(cudaStream_t stream) { return machine().streams.contains(stream); }
cudaError_t fail(cudaError_t error) { return Call::result(error); }

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Call call(__func__);
  if (call.verdict() != cudaSuccess) return call.verdict();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (stream->capture) return fail(cudaErrorIllegalState);
  stream->capture =
      std::make_shared<Capture>(Capture{.mode = mode, .thread = std::this_thread::get_id()});
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Call call(__func__);
  *graph = nullptr;
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (!stream->capture) return fail(cudaErrorIllegalState);
  if (stream->capture->mode != cudaStreamCaptureModeRelaxed &&
      stream->capture->thread != std::this_thread::get_id()) {
    return fail(cudaErrorStreamCaptureWrongThread);
  }
  // However it ends, the stream works again.
  const auto capture = std::exchange(stream->capture, nullptr);
  if (call.verdict() != cudaSuccess) return call.verdict();
  if (capture->invalid) return fail(cudaErrorStreamCaptureInvalidated);
  *graph = new cuda_emulator::GraphObject{std::move(capture->pieces)};
  machine().graphs.insert(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph,
                                          unsigned long long flags) {
  const Call call(__func__);
  if (call.verdict() != cudaSuccess) return call.verdict();
  if (!machine().graphs.contains(graph) || flags != 0) return fail(cudaErrorInvalidValue);
  *exec = new cuda_emulator::GraphExecObject{
      std::make_shared<const std::vector<std::function<void()>>>(graph->pieces)};
  machine().graph_execs.insert(*exec);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const Call call(__func__);
  if (call.verdict() != cudaSuccess) return call.verdict();
  if (!machine().graph_execs.contains(exec)) return fail(cudaErrorInvalidValue);
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  // Who is destroyed meanwhile goes when its work is done.
  for (std::size_t i = 0; i < exec->pieces->size(); ++i) {
    const cudaError_t put =
        machine().enqueue(*stream, [pieces = exec->pieces, i] { (*pieces)[i](); });
    if (put != cudaSuccess) return put;
  }
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const Call call(__func__);
  if (machine().graph_execs.erase(exec) == 0) return fail(cudaErrorInvalidValue);
  delete exec;
  return call.verdict();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Call call(__func__);
  if (machine().graphs.erase(graph) == 0) return fail(cudaErrorInvalidValue);
  delete graph;
  return call.verdict();
}
