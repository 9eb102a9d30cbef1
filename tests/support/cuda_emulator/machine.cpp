#include "machine.hpp"

#include <utility>

#include "fibers.hpp"

namespace cuda_emulator {

Machine& machine() {
  static Machine& the = *new Machine();  // outlives every static with a destructor
  return the;
}

cudaError_t Machine::enqueue(StreamObject& stream, std::function<void()> work) {
  if (!stream.capture) {
    stream.queue.push_back({std::move(work), nullptr, nullptr});
    return cudaSuccess;
  }
  if (stream.capture->invalid) return Call::result(cudaErrorStreamCaptureInvalidated);
  stream.capture->pieces.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t Machine::unsafe_in_capture() {
  cudaError_t verdict = cudaSuccess;
  for (StreamObject* each : streams) {
    if (!each->capture || each->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (each->capture->mode == cudaStreamCaptureModeThreadLocal &&
        each->capture->thread != std::this_thread::get_id()) {
      continue;
    }
    each->capture->invalid = true;
    verdict = Call::result(cudaErrorStreamCaptureUnsupported);
  }
  return verdict;
}

bool Machine::step(StreamObject& stream) {
  if (stream.queue.empty() || stream.running) return false;
  stream.running = true;
  const bool ran = run_first(stream);
  stream.running = false;
  return ran;
}

bool Machine::run_first(StreamObject& stream) {
  Work& first = stream.queue.front();  // others may be put behind it meanwhile
  if (const auto point = first.waits_for; point && !point->done) {
    run(*point->stream, point.get());
    if (!point->done) return false;
  }
  if (const auto shared = first.shared; shared && !shared->advance()) return false;
  const Work work = std::move(first);
  stream.queue.pop_front();
  if (work.reaches) work.reaches->done = true;
  // A lost device runs nothing more, but host functions still come.
  if (work.run) in_kernel(work.run);
  if (work.shared || work.reaches) changed.notify_all();
  return true;
}

void Machine::in_kernel(const std::function<void()>& body) {
  memory.open();
  try {
    body();
  } catch (const KernelFault& error) {
    if (fault.empty()) fault = error.what();
  }
  memory.close();
}

void Machine::run(StreamObject& stream, const Point* until) {
  while ((until == nullptr || !until->done) && step(stream)) {
  }
}

bool Machine::run_device(int device) {
  bool all = true;
  for (StreamObject* each : streams) {
    if (each->device != device) continue;
    run(*each);
    all = all && each->queue.empty();
  }
  return all;
}

Call::Call(const char* name, cudaError_t when_injected) : lock_(machine().mutex) {
  Machine& m = machine();
  ++m.calls;
  ++m.called[name];
  const bool named =
      m.fails_by_name.second > 0 && m.fails_by_name.first == name && --m.fails_by_name.second == 0;
  if (m.in_host_function) {
    verdict_ = cudaErrorNotPermitted;
  } else if (m.calls == m.fails_at || named) {
    m.failed_call = name;
    verdict_ = when_injected;
  } else if (m.driver < 13000) {  // none, or one that is older than this runtime
    verdict_ = cudaErrorInsufficientDriver;
  } else if (!m.fault.empty()) {
    verdict_ = cudaErrorIllegalAddress;
  }
  if (verdict_ != cudaSuccess) result(verdict_);
}

cudaError_t Call::result(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) machine().last_error = error;
  return error;
}

void bad_access(const void* at, std::size_t bytes, bool reads) {
  Machine& m = machine();
  std::string what = std::to_string(bytes) + " bytes " + (reads ? "read" : "written") + " at " +
                     m.memory.describe(at);
  if (reads && m.memory.owns(at) && what.find("behind") == std::string::npos) {
    what += ", not all of them ever written";
  }
  fault(what);
}

Census census() {
  Machine& m = machine();
  std::lock_guard lock(m.mutex);
  return {
      m.memory.count(), m.memory.bytes(), m.pinned.size(), m.streams.size(),
      m.events.size(),  m.blas_objects,   m.links,         m.graphs.size() + m.graph_execs.size()};
}

std::uint64_t calls() { return machine().calls; }

void fail_call(std::uint64_t number) {
  Machine& m = machine();
  m.failed_call.clear();
  m.fails_at = number == 0 ? 0 : m.calls + number;
  m.fails_by_name = {};
}

void fail_call(const std::string& name, std::uint64_t number) {
  fail_call(0);
  machine().fails_by_name = {name, number};
}

std::map<std::string, std::uint64_t> take_called() { return std::exchange(machine().called, {}); }

std::string failed_call() { return machine().failed_call; }
std::string fault_text() { return machine().fault; }

void recover() {
  machine().fault.clear();
  machine().last_error = cudaSuccess;
  fail_call(0);
}

std::uint64_t wide_accesses() { return wide_access_count; }

void reverse_order(bool reversed) { from_the_last = reversed; }

void play_driver(int version) { machine().driver = version; }

void play_devices(int count, int major) {
  machine().devices = count;
  machine().major = major;
}

void play_epilogues(bool there) { machine().epilogues = there; }

void play_nccl(int version) { machine().nccl = version; }

void play_memory(std::size_t bytes) { machine().memory.limit_bytes = bytes; }

}  // namespace cuda_emulator
