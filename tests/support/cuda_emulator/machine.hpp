// The emulated machine behind the API: memory, streams, events, injected failures, the fault.
//
// Streams are lazy: work runs when somebody waits for it, and then only what it was ordered behind.
// A result of another stream that no event leads to is therefore still missing when it is read.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "cuda_runtime.h"
#include "device_memory.hpp"
#include "emulator.hpp"

namespace cuda_emulator {

/// A place in the order of a stream.
struct Point {
  StreamObject* stream = nullptr;
  bool done = false;
};

struct Work {
  std::function<void()> run;       // or
  std::shared_ptr<Point> reaches;  // or
  std::shared_ptr<Point> waits_for;
};

struct StreamObject {
  std::deque<Work> queue;
};

struct EventObject {
  std::shared_ptr<Point> recorded;
};

class Machine {
 public:
  DeviceMemory memory;
  std::set<StreamObject*> streams;
  std::set<EventObject*> events;
  std::set<void*> pinned;
  std::size_t blas_objects = 0;
  std::string fault;
  std::string failed_call;
  std::uint64_t calls = 0;
  std::uint64_t fails_at = 0;
  int driver = 13000;
  int devices = 1;
  int major = 9;
  bool epilogues = true;
  bool in_host_function = false;
  cudaError_t last_error = cudaSuccess;
  std::recursive_mutex mutex;

  /// Runs what `stream` holds until `point` is reached, or all of it.
  void run(StreamObject& stream, const Point* until = nullptr);
  /// Runs the first piece of what `stream` holds. false: there is none.
  bool step(StreamObject& stream);
  void run_everything();
  void enqueue(StreamObject& stream, std::function<void()> work);
};

Machine& machine();

/// What every API function begins with: the lock, the count, the injected failure.
class Call {
 public:
  explicit Call(const char* name, cudaError_t when_injected = cudaErrorUnknown);
  /// Not cudaSuccess: the function returns it.
  cudaError_t verdict() const { return verdict_; }
  /// Keeps the result for cudaGetLastError.
  static cudaError_t result(cudaError_t error);

 private:
  std::lock_guard<std::recursive_mutex> lock_;
  cudaError_t verdict_ = cudaSuccess;
};

}  // namespace cuda_emulator
