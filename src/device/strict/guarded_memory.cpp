#include "device/strict/guarded_memory.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "concordat/core/error.hpp"

namespace concordat::device {
namespace {

constexpr std::size_t page = 4096;
constexpr int poison_byte = 0xFF;  // NaN as f32, f64, bf16 and f16; -1 as an index

[[noreturn]] void fail(const char* call, std::size_t bytes) {
  throw Error(errors::io_failed, {.what = "memory for the strict back end cannot be had",
                                  .where = call,
                                  .found = std::strerror(errno),
                                  .expected = std::to_string(bytes) + " bytes of address space",
                                  .remedy = "raise ulimit -v, or use another back end"});
}

}  // namespace

class GuardedStorage final : public Storage {
 public:
  GuardedStorage(std::shared_ptr<GuardedMemory> memory, std::size_t offset, std::size_t reserved,
                 std::size_t size_bytes)
      : Storage(Place::device, memory->base_ + offset, size_bytes),
        memory_(std::move(memory)),
        offset_(offset),
        reserved_(reserved) {}
  ~GuardedStorage() override { memory_->release(offset_, reserved_); }

 private:
  std::shared_ptr<GuardedMemory> memory_;
  std::size_t offset_;
  std::size_t reserved_;
};

GuardedMemory::GuardedMemory(std::size_t reserved_bytes) : reserved_bytes_(reserved_bytes) {
  void* got = ::mmap(nullptr, reserved_bytes_, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) fail("mmap", reserved_bytes_);
  base_ = static_cast<std::byte*>(got);
}

GuardedMemory::~GuardedMemory() { ::munmap(base_, reserved_bytes_); }

StoragePtr GuardedMemory::allocate(const std::shared_ptr<GuardedMemory>& memory,
                                   std::size_t size_bytes) {
  std::size_t reserved = (size_bytes + 127) / 64 * 64;  // at least one poisoned line behind it
  std::size_t offset = memory->reserve(reserved);
  auto storage = std::make_shared<GuardedStorage>(memory, offset, reserved, size_bytes);
  Gate gate(*memory);
  std::memset(storage->data(), poison_byte, reserved);
  return storage;
}

std::size_t GuardedMemory::reserve(std::size_t bytes) {
  std::lock_guard lock(mutex_);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < bytes) continue;
    auto [offset, length] = *it;
    free_.erase(it);
    if (length > bytes) free_.emplace(offset + bytes, length - bytes);
    return offset;
  }
  std::size_t offset = used_bytes_;
  if (!free_.empty() && free_.rbegin()->first + free_.rbegin()->second == used_bytes_) {
    offset = free_.rbegin()->first;  // grow the gap at the end
  }
  std::size_t grown = (offset + bytes + page - 1) / page * page;
  if (grown > reserved_bytes_) {
    errno = ENOMEM;
    fail("reserve", reserved_bytes_);
  }
  free_.erase(offset);
  if (grown > offset + bytes) free_.emplace(offset + bytes, grown - offset - bytes);
  used_bytes_ = grown;
  if (gates_ > 0) protect(PROT_READ | PROT_WRITE);
  return offset;
}

void GuardedMemory::release(std::size_t offset, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  auto next = free_.upper_bound(offset);
  if (next != free_.end() && offset + bytes == next->first) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += bytes;
      return;
    }
  }
  free_.emplace(offset, bytes);
}

void GuardedMemory::open() {
  std::lock_guard lock(mutex_);
  if (gates_++ == 0) protect(PROT_READ | PROT_WRITE);
}

void GuardedMemory::close() {
  std::lock_guard lock(mutex_);
  if (--gates_ == 0) protect(PROT_NONE);
}

void GuardedMemory::protect(int mode) {
  if (used_bytes_ > 0 && ::mprotect(base_, used_bytes_, mode) != 0) {
    // open() and close() run in destructors too; a refused mprotect leaves no way to go on.
    CONCORDAT_REQUIRE(false, std::string("mprotect: ") + std::strerror(errno));
  }
}

}  // namespace concordat::device
