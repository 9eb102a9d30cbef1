#include "device_memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <stdexcept>

#include "cuda_runtime.h"

namespace cuda_emulator {
namespace {

constexpr std::size_t reserved = std::size_t{8} << 30U;
constexpr std::size_t alignment = 256;  // what cudaMalloc promises
constexpr std::size_t page = 4096;

std::byte* reserve(int protection) {
  void* got =
      ::mmap(nullptr, reserved, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) throw std::runtime_error("no address space for the emulated device");
  return static_cast<std::byte*>(got);
}

/// At least one free stretch behind each allocation, which nothing may touch.
std::size_t with_gap(std::size_t bytes) {
  return (bytes + 2 * alignment - 1) / alignment * alignment;
}

}  // namespace

DeviceMemory::DeviceMemory() : base_(reserve(PROT_NONE)) {
  device_range = {base_, reserved, reinterpret_cast<ByteState*>(reserve(PROT_READ | PROT_WRITE))};
  gaps_.emplace(0, reserved);
}

void* DeviceMemory::allocate(std::size_t bytes, int device) {
  if (bytes > limit_bytes - live_bytes_ || live_bytes_ > limit_bytes) return nullptr;
  const std::size_t wanted = with_gap(bytes);
  for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
    const auto [offset, length] = *gap;
    if (length < wanted) continue;
    gaps_.erase(gap);
    if (length > wanted) gaps_.emplace(offset + wanted, length - wanted);
    live_.emplace(offset, Allocation{bytes, device});
    live_bytes_ += bytes;
    std::memset(device_range.states + offset, static_cast<int>(ByteState::allocated), bytes);
    used_bytes_ = std::max(used_bytes_, (offset + wanted + page - 1) / page * page);
    return base_ + offset;
  }
  return nullptr;
}

int DeviceMemory::device_of(const void* pointer) const {
  const auto found =
      live_.find(static_cast<std::size_t>(static_cast<const std::byte*>(pointer) - base_));
  return found == live_.end() ? -1 : found->second.device;
}

bool DeviceMemory::release(void* pointer) {
  const auto found = live_.find(static_cast<std::size_t>(static_cast<std::byte*>(pointer) - base_));
  if (found == live_.end()) return false;
  const std::size_t bytes = found->second.bytes;
  std::size_t offset = found->first;
  std::memset(device_range.states + offset, static_cast<int>(ByteState::free), bytes);
  live_bytes_ -= bytes;
  live_.erase(found);
  std::size_t length = with_gap(bytes);
  auto next = gaps_.upper_bound(offset);
  if (next != gaps_.end() && next->first == offset + length) {
    length += next->second;
    next = gaps_.erase(next);
  }
  if (next != gaps_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += length;
      return true;
    }
  }
  gaps_.emplace(offset, length);
  return true;
}

void DeviceMemory::open() {
  if (gates_++ == 0 && used_bytes_ > 0) ::mprotect(base_, used_bytes_, PROT_READ | PROT_WRITE);
}

void DeviceMemory::close() {
  if (--gates_ == 0 && used_bytes_ > 0) ::mprotect(base_, used_bytes_, PROT_NONE);
}

bool DeviceMemory::owns(const void* pointer) const {
  const auto* at = static_cast<const std::byte*>(pointer);
  return at >= base_ && at < base_ + reserved;
}

void DeviceMemory::copy(void* to, const void* from, std::size_t bytes) {
  std::memmove(to, from, bytes);
  const auto to_offset = static_cast<std::byte*>(to) - base_;
  const auto from_offset = static_cast<const std::byte*>(from) - base_;
  std::memmove(device_range.states + to_offset, device_range.states + from_offset, bytes);
}

void DeviceMemory::mark_written(void* to, std::size_t bytes) {
  std::memset(device_range.states + (static_cast<std::byte*>(to) - base_),
              static_cast<int>(ByteState::written), bytes);
}

std::string DeviceMemory::describe(const void* at) const {
  if (!owns(at)) return "memory that is not the device's";
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(at) - base_);
  auto next = live_.upper_bound(offset);
  if (next == live_.begin()) return "device memory that is not allocated";
  --next;
  const std::size_t inside = offset - next->first;
  const std::string size = std::to_string(next->second.bytes) + " bytes";
  if (inside < next->second.bytes)
    return "byte " + std::to_string(inside) + " of an allocation of " + size;
  return std::to_string(inside - next->second.bytes) + " bytes behind an allocation of " + size;
}

}  // namespace cuda_emulator
