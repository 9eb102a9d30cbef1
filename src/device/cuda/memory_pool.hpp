// MemoryPool: device or pinned memory that is kept and handed out again, because cudaMalloc and
// cudaFree wait for the whole device.
//
// A block that is given back may still be in use by work that streams hold. It is handed out again
// once every stream has passed the point at which it was given back: an event per stream, polled at
// the next take(). So any stream may use any block, and no op waits.
//
// Threads: safe from many. Cost: take() and give_back() lock and look at the blocks in flight.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "device/cuda/handles.hpp"

namespace concordat::device::cuda {

/// The streams of a device that may hold work.
class StreamList {
 public:
  void add(cudaStream_t stream);
  void remove(cudaStream_t stream);
  /// One event per stream, recorded now. @throws Error(device.cuda_failed)
  std::vector<EventHandle> record() const;

 private:
  mutable std::mutex mutex_;
  std::vector<cudaStream_t> streams_;
};

class MemoryPool {
 public:
  enum class Kind { device, pinned };
  using Await = std::function<void(cudaEvent_t)>;
  /// keep = false: every take and give_back goes to CUDA, so that its checkers see them. `await`:
  /// how the host waits for an event.
  MemoryPool(Kind kind, const StreamList& streams, bool keep, Await await);
  /// Frees all. @pre every block was given back.
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  struct Block {
    std::byte* data = nullptr;
    std::size_t bytes = 0;  ///< at least what was asked for
  };
  /// Aligned to 256 bytes. Content undefined. @throws Error(device.cuda_out_of_memory)
  Block take(std::size_t bytes);
  void give_back(Block block) noexcept;

  std::size_t held_bytes() const;

 private:
  struct InFlight {
    Block block;
    std::vector<EventHandle> events;
  };
  std::byte* allocate(std::size_t bytes);
  bool try_allocate(std::size_t bytes, std::byte** data);
  void release(std::byte* data) noexcept;
  void collect(bool wait);
  void free_unused();

  Kind kind_;
  const StreamList& streams_;
  bool keep_;
  Await await_;
  mutable std::mutex mutex_;
  std::multimap<std::size_t, std::byte*> unused_;
  std::deque<InFlight> in_flight_;
  std::size_t held_bytes_ = 0;
};

}  // namespace concordat::device::cuda
