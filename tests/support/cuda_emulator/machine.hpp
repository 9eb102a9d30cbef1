// The emulated machine behind the API: memory, streams, events, injected failures, the fault.
//
// Streams are lazy: work runs when somebody waits for it, and then only what it was ordered behind.
// A result of another stream that no event leads to is therefore still missing when it is read.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "device_memory.hpp"
#include "emulator.hpp"

namespace cuda_emulator {

/// A place in the order of a stream.
struct Point {
  StreamObject* stream = nullptr;
  bool done = false;
};

/// Work that other ranks have a part in.
class SharedWork {
 public:
  virtual ~SharedWork() = default;
  /// Goes as far as it can, also by driving the streams of ranks in this process. true: it is done.
  virtual bool advance() = 0;
};

struct Work {
  std::function<void()> run;         // or
  std::shared_ptr<Point> reaches;    // or
  std::shared_ptr<Point> waits_for;  // or
  std::shared_ptr<SharedWork> shared{};
};

/// Pieces of work in the order of the one stream that recorded them.
struct GraphObject {
  std::vector<std::function<void()>> pieces;
};
struct GraphExecObject {
  std::shared_ptr<const std::vector<std::function<void()>>> pieces;
};

/// What a stream does instead of working.
struct Capture {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread{};
  bool invalid = false;
  std::vector<std::function<void()>> pieces{};
};

struct StreamObject {
  int device = 0;
  bool running = false;  ///< its first piece is being looked at, further up in the calls
  std::deque<Work> queue;
  std::shared_ptr<Capture> capture;
};

struct EventObject {
  std::shared_ptr<Point> recorded;
  std::shared_ptr<Capture> captured;  ///< the last record was part of it
};

class Machine {
 public:
  DeviceMemory memory;
  std::set<StreamObject*> streams;
  std::set<EventObject*> events;
  std::set<void*> pinned;
  std::set<GraphObject*> graphs;
  std::set<GraphExecObject*> graph_execs;
  std::size_t blas_objects = 0;
  std::size_t links = 0;  ///< NCCL's communicators
  std::string fault;
  std::string failed_call;
  std::uint64_t calls = 0;
  std::uint64_t fails_at = 0;
  std::pair<std::string, std::uint64_t> fails_by_name;  ///< and how many of them still to come
  std::map<std::string, std::uint64_t> called;
  int driver = 13000;
  int devices = 1;
  int major = 9;
  bool epilogues = true;
  int nccl = 22703;
  bool in_host_function = false;
  cudaError_t last_error = cudaSuccess;
  std::recursive_mutex mutex;
  std::condition_variable_any changed;  ///< something that shared work may wait for

  /// Runs what `stream` holds until `point` is reached, or all of it, or as far as other ranks let
  /// it.
  void run(StreamObject& stream, const Point* until = nullptr);
  /// Runs the first piece of what `stream` holds. false: there is none, or it waits for others.
  bool step(StreamObject& stream);
  /// Runs all that the streams of a device hold, as far as other ranks let them. true: nothing is
  /// left.
  bool run_device(int device);
  /// To the end of the stream, or of what it records.
  cudaError_t enqueue(StreamObject& stream, std::function<void()> work);
  /// For calls that must not be made while this thread, or in global mode another, captures: what
  /// is captured becomes invalid, and the call fails.
  cudaError_t unsafe_in_capture();
  /// Device memory is open to `body`; its fault is the machine's.
  void in_kernel(const std::function<void()>& body);

 private:
  bool run_first(StreamObject& stream);
};

Machine& machine();

/// The calling thread's, as cudaSetDevice left it.
inline thread_local int current_device = 0;

/// What every API function begins with: the lock, the count, the injected failure.
class Call {
 public:
  explicit Call(const char* name, cudaError_t when_injected = cudaErrorUnknown);
  /// Not cudaSuccess: the function returns it.
  cudaError_t verdict() const { return verdict_; }
  /// Waits for other ranks: returns when something changed, or a millisecond later.
  void wait() { machine().changed.wait_for(lock_, std::chrono::milliseconds(1)); }
  /// Keeps the result for cudaGetLastError.
  static cudaError_t result(cudaError_t error);

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  cudaError_t verdict_ = cudaSuccess;
};

}  // namespace cuda_emulator
