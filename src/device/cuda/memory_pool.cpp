#include "device/cuda/memory_pool.hpp"

#include <algorithm>
#include <string>

#include "concordat/device/errors.hpp"

namespace concordat::device::cuda {
namespace {

// Small blocks come in steps of 512 bytes, large ones of 2 MiB, CUDA's own page: requests that
// differ a little share blocks.
std::size_t rounded(std::size_t bytes) {
  constexpr std::size_t small = std::size_t{1} << 20U;
  const std::size_t step = bytes <= small ? 512 : std::size_t{2} << 20U;
  return std::max(step, (bytes + step - 1) / step * step);
}

}  // namespace

void StreamList::add(cudaStream_t stream) {
  std::lock_guard lock(mutex_);
  streams_.push_back(stream);
}

void StreamList::remove(cudaStream_t stream) {
  std::lock_guard lock(mutex_);
  std::erase(streams_, stream);
}

std::vector<EventHandle> StreamList::record() const {
  std::lock_guard lock(mutex_);
  std::vector<EventHandle> events;
  for (cudaStream_t each : streams_) {
    events.push_back(make_event());
    check(cudaEventRecord(events.back().get(), each), "cudaEventRecord");
  }
  return events;
}

MemoryPool::MemoryPool(Kind kind, const StreamList& streams, bool keep, Await await)
    : kind_(kind), streams_(streams), keep_(keep), await_(std::move(await)) {}

MemoryPool::~MemoryPool() {
  for (const InFlight& each : in_flight_) release(each.block.data);
  for (const auto& [bytes, data] : unused_) release(data);
}

MemoryPool::Block MemoryPool::take(std::size_t bytes) {
  std::lock_guard lock(mutex_);
  if (!keep_) return {allocate(std::max<std::size_t>(bytes, 1)), bytes};
  const std::size_t wanted = rounded(bytes);
  collect(false);
  // A block that is at most an eighth too large is better than a new one.
  if (const auto found = unused_.lower_bound(wanted);
      found != unused_.end() && found->first - wanted <= wanted / 8) {
    const Block block{found->second, found->first};
    unused_.erase(found);
    return block;
  }
  std::byte* data = allocate(wanted);
  held_bytes_ += wanted;
  return {data, wanted};
}

void MemoryPool::give_back(Block block) noexcept {
  std::lock_guard lock(mutex_);
  if (keep_) {
    try {
      in_flight_.push_back({block, streams_.record()});
      return;
    } catch (...) {
      // The device or the host is in trouble, which the next call reports. Freeing waits for the
      // device, so it is right without events.
      held_bytes_ -= block.bytes;
    }
  }
  release(block.data);
}

std::size_t MemoryPool::held_bytes() const {
  std::lock_guard lock(mutex_);
  return held_bytes_;
}

std::byte* MemoryPool::allocate(std::size_t bytes) {
  std::byte* data = nullptr;
  if (try_allocate(bytes, &data)) return data;
  // Out of memory: what waits for streams comes back, what fits nobody goes. Freeing waits for the
  // device without looking at other ranks, so nothing may be left that needs them.
  collect(true);
  for (const EventHandle& each : streams_.record()) await_(each.get());
  free_unused();
  if (try_allocate(bytes, &data)) return data;
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  if (kind_ == Kind::device) check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  const std::string rest = kind_ == Kind::device ? std::to_string(free_bytes) + " of " +
                                                       std::to_string(total_bytes) + " bytes free"
                                                 : "the host refused to pin it";
  throw Error(
      errors::cuda_out_of_memory,
      {.what = kind_ == Kind::device ? "the GPU's memory is used up" : "no pinned memory",
       .where = kind_ == Kind::device ? "cudaMalloc" : "cudaHostAlloc",
       .found = rest + ", " + std::to_string(held_bytes_) + " held by this process's pool",
       .expected = std::to_string(bytes) + " bytes",
       .remedy =
           "lower the micro-batch or the sequence length, or split the model over more ranks"});
}

bool MemoryPool::try_allocate(std::size_t bytes, std::byte** data) {
  void* got = nullptr;
  const bool device = kind_ == Kind::device;
  const cudaError_t status =
      device ? cudaMalloc(&got, bytes) : cudaHostAlloc(&got, bytes, cudaHostAllocDefault);
  *data = static_cast<std::byte*>(got);
  if (status != cudaErrorMemoryAllocation) check(status, device ? "cudaMalloc" : "cudaHostAlloc");
  if (status != cudaSuccess) cudaGetLastError();
  return status == cudaSuccess;
}

void MemoryPool::release(std::byte* data) noexcept {
  static_cast<void>(kind_ == Kind::device ? cudaFree(data) : cudaFreeHost(data));
}

void MemoryPool::collect(bool wait) {
  for (auto at = in_flight_.begin(); at != in_flight_.end();) {
    const bool passed =
        std::all_of(at->events.begin(), at->events.end(), [&](const EventHandle& e) {
          if (wait) {
            await_(e.get());
            return true;
          }
          const cudaError_t status = cudaEventQuery(e.get());
          if (status != cudaErrorNotReady) check(status, "cudaEventQuery");
          return status == cudaSuccess;
        });
    if (!passed) {
      ++at;
      continue;
    }
    unused_.emplace(at->block.bytes, at->block.data);
    at = in_flight_.erase(at);
  }
}

void MemoryPool::free_unused() {
  for (const auto& [bytes, data] : unused_) {
    release(data);
    held_bytes_ -= bytes;
  }
  unused_.clear();
}

}  // namespace concordat::device::cuda
