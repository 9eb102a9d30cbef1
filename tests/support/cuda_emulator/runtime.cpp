// The API functions of include/cuda_runtime.h.
#include "cuda_runtime.h"

#include <cstdlib>
#include <utility>

#include "fibers.hpp"
#include "machine.hpp"

using cuda_emulator::Call;
using cuda_emulator::EventObject;
using cuda_emulator::Machine;
using cuda_emulator::machine;
using cuda_emulator::StreamObject;

#define EMULATED_CALL_FAILING_WITH(error) \
  Call call(__func__, error);             \
  if (call.verdict() != cudaSuccess) return call.verdict()
#define EMULATED_CALL() EMULATED_CALL_FAILING_WITH(cudaErrorUnknown)
// CUDA calls it potentially unsafe: what it does is not seen by a capture.
#define REFUSED_IN_CAPTURE() \
  if (const cudaError_t unsafe = machine().unsafe_in_capture(); unsafe != cudaSuccess) return unsafe

namespace {

bool known(cudaStream_t stream) { return machine().streams.contains(stream); }
bool known(cudaEvent_t event) { return machine().events.contains(event); }
cudaError_t fail(cudaError_t error) { return Call::result(error); }

/// After work has run: the device may have been lost meanwhile.
cudaError_t after_work() {
  return machine().fault.empty() ? cudaSuccess : fail(cudaErrorIllegalAddress);
}

void require_written(const void* from, std::size_t bytes) {
  if (bytes > 0) cuda_emulator::check_read(from, bytes);
}

void require_room(void* to, std::size_t bytes) {
  if (bytes > 0) cuda_emulator::check_write(to, bytes);
}

void copy_row(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return;
  switch (kind) {
    case cudaMemcpyHostToDevice:
      require_room(to, bytes);
      std::memcpy(to, from, bytes);
      return;
    case cudaMemcpyDeviceToHost:
      require_written(from, bytes);
      std::memcpy(to, from, bytes);
      return;
    case cudaMemcpyDeviceToDevice:
      require_room(to, bytes);
      machine().memory.copy(to, from, bytes);
      return;
  }
}

/// Of calls that ask after a stream or an event: what belongs to a capture cannot be asked after.
cudaError_t ask(StreamObject& stream) {
  if (!stream.capture) return cudaSuccess;
  stream.capture->invalid = true;
  return fail(cudaErrorStreamCaptureUnsupported);
}
cudaError_t ask(EventObject& event) {
  if (!event.captured) return machine().unsafe_in_capture();
  event.captured->invalid = true;
  return fail(cudaErrorCapturedEvent);
}

/// As the real one waits for the device.
void drain(Call& call, int device) {
  while (!machine().run_device(device)) call.wait();
}

}  // namespace

cudaError_t cudaDriverGetVersion(int* version) {
  std::lock_guard lock(machine().mutex);
  // For programs that load the emulated plug-in as a file and cannot call play_driver.
  if (const char* driver = std::getenv("CUDA_EMULATOR_DRIVER")) {
    cuda_emulator::play_driver(std::atoi(driver));
  }
  *version = machine().driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  EMULATED_CALL();
  if (const char* devices = std::getenv("CUDA_EMULATOR_DEVICES")) {
    cuda_emulator::play_devices(std::atoi(devices));
  }
  *count = machine().devices;
  return machine().devices == 0 ? fail(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  EMULATED_CALL();
  if (device < 0 || device >= machine().devices) return fail(cudaErrorInvalidValue);
  cuda_emulator::current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  EMULATED_CALL();
  *properties = {};
  std::strcpy(properties->name, "emulated device (no GPU)");
  properties->uuid.bytes[0] = static_cast<char>(device);
  properties->totalGlobalMem = machine().memory.limit_bytes;
  properties->multiProcessorCount = 4;
  properties->major = machine().major;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  EMULATED_CALL();
  *total_bytes = machine().memory.limit_bytes;
  *free_bytes = *total_bytes - machine().memory.bytes();
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  EMULATED_CALL_FAILING_WITH(cudaErrorMemoryAllocation);
  REFUSED_IN_CAPTURE();
  *pointer = machine().memory.allocate(bytes, cuda_emulator::current_device);
  return *pointer == nullptr ? fail(cudaErrorMemoryAllocation) : cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  Call call("cudaFree");
  REFUSED_IN_CAPTURE();
  // A lost device's memory goes with its process; here the census should see who gives it back.
  drain(call, machine().memory.device_of(pointer));
  const bool ours = machine().memory.release(pointer);
  if (call.verdict() != cudaSuccess) return call.verdict();
  return ours ? after_work() : fail(cudaErrorInvalidValue);
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  EMULATED_CALL_FAILING_WITH(cudaErrorMemoryAllocation);
  REFUSED_IN_CAPTURE();
  *pointer = std::malloc(bytes);
  machine().pinned.insert(*pointer);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  Call call("cudaFreeHost");
  REFUSED_IN_CAPTURE();
  drain(call, cuda_emulator::current_device);
  if (machine().pinned.erase(pointer) == 0) return fail(cudaErrorInvalidValue);
  std::free(pointer);
  return call.verdict();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  EMULATED_CALL();
  *stream = new cuda_emulator::StreamObject();
  (*stream)->device = cuda_emulator::current_device;
  machine().streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Call call("cudaStreamDestroy");
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  while (!stream->queue.empty()) {
    machine().run(*stream);
    if (!stream->queue.empty()) call.wait();
  }
  machine().streams.erase(stream);
  delete stream;
  return call.verdict();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  EMULATED_CALL();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = ask(*stream); refused != cudaSuccess) return refused;
  machine().run(*stream);
  while (!stream->queue.empty()) {
    call.wait();
    machine().run(*stream);
  }
  return after_work();
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  EMULATED_CALL();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = ask(*stream); refused != cudaSuccess) return refused;
  machine().step(*stream);  // who asks for ever gets there
  const cudaError_t lost = after_work();
  if (lost != cudaSuccess) return lost;
  return stream->queue.empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  EMULATED_CALL();
  if (!known(stream) || !known(event)) return fail(cudaErrorInvalidResourceHandle);
  if (stream->capture) {
    if (event->captured == stream->capture) return cudaSuccess;  // before it in the one order
    stream->capture->invalid = true;
    return fail(cudaErrorStreamCaptureIsolation);
  }
  if (event->captured) return ask(*event);  // the real one would capture this stream, too
  if (event->recorded) stream->queue.push_back({nullptr, nullptr, event->recorded});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  EMULATED_CALL();
  *event = new cuda_emulator::EventObject();
  machine().events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Call call("cudaEventDestroy");
  if (machine().events.erase(event) == 0) return fail(cudaErrorInvalidResourceHandle);
  delete event;
  return call.verdict();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  EMULATED_CALL();
  if (!known(stream) || !known(event)) return fail(cudaErrorInvalidResourceHandle);
  event->captured = stream->capture;
  if (stream->capture) {
    return stream->capture->invalid ? fail(cudaErrorStreamCaptureInvalidated) : cudaSuccess;
  }
  event->recorded = std::make_shared<cuda_emulator::Point>(cuda_emulator::Point{stream, false});
  stream->queue.push_back({nullptr, event->recorded, nullptr});
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  EMULATED_CALL();
  if (!known(event)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = ask(*event); refused != cudaSuccess) return refused;
  if (!event->recorded || event->recorded->done) return cudaSuccess;
  machine().step(*event->recorded->stream);  // who asks for ever gets there
  const cudaError_t lost = after_work();
  return lost != cudaSuccess ? lost : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  EMULATED_CALL();
  if (!known(event)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = ask(*event); refused != cudaSuccess) return refused;
  const auto point = event->recorded;
  if (point && !point->done) machine().run(*point->stream, point.get());
  while (point && !point->done) {
    call.wait();
    machine().run(*point->stream, point.get());
  }
  return after_work();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  EMULATED_CALL();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  return machine().enqueue(*stream, [=] { copy_row(to, from, bytes, kind); });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  EMULATED_CALL();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (width > to_pitch || width > from_pitch) return fail(cudaErrorInvalidValue);
  return machine().enqueue(*stream, [=] {
    for (std::size_t row = 0; row < height; ++row) {
      copy_row(static_cast<std::byte*>(to) + row * to_pitch,
               static_cast<const std::byte*>(from) + row * from_pitch, width, kind);
    }
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  EMULATED_CALL();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  return machine().enqueue(*stream, [=] {
    require_room(to, bytes);
    if (bytes > 0) std::memset(to, value, bytes);
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  EMULATED_CALL();
  if (!known(stream)) return fail(cudaErrorInvalidResourceHandle);
  return machine().enqueue(*stream, [=] {
    Machine& m = machine();
    m.in_host_function = true;
    m.memory.close();  // device memory is not the host's
    function(argument);
    m.memory.open();
    m.in_host_function = false;
  });
}

cudaError_t cuda_emulator::launch(const cudaLaunchConfig_t& config, const char* signature,
                                  std::function<void()> body) {
  const Call call("cudaLaunchKernelEx");
  if (call.verdict() != cudaSuccess) return call.verdict();
  if (!known(config.stream)) return fail(cudaErrorInvalidResourceHandle);
  return machine().enqueue(*config.stream, [grid = config.gridDim, block = config.blockDim,
                                            signature, body = std::move(body)] {
    if (!machine().fault.empty()) return;
    try {
      run_grid(grid, block, body);
    } catch (const KernelFault& error) {
      throw KernelFault(std::string(error.what()) + " (kernel launched as " + signature + ")");
    }
  });
}

cudaError_t cudaGetLastError() {
  std::lock_guard lock(machine().mutex);
  return std::exchange(machine().last_error, cudaSuccess);
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorIllegalState:
      return "cudaErrorIllegalState";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorNotPermitted:
      return "cudaErrorNotPermitted";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureIsolation:
      return "cudaErrorStreamCaptureIsolation";
    case cudaErrorCapturedEvent:
      return "cudaErrorCapturedEvent";
    case cudaErrorStreamCaptureWrongThread:
      return "cudaErrorStreamCaptureWrongThread";
    case cudaErrorUnknown:
      return "cudaErrorUnknown";
  }
  return "an error that the emulation does not know";
}

const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorIllegalAddress) return machine().fault.c_str();
  return "emulated";
}
