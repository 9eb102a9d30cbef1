#include "concordat/core/storage.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

constexpr std::size_t smallest_alignment = 64;
constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = std::size_t{2} << 20U;

std::byte* allocate(std::size_t size_bytes) {
  // Streams over gigabytes: pages of 2 MiB save most of the misses in the address caches.
  const bool large = size_bytes >= 2 * huge_page;
  // Whole pages may go to a file without a copy (OpenMode::read_write_direct).
  const std::size_t small = size_bytes >= 16 * page ? page : smallest_alignment;
  const std::size_t alignment = large ? huge_page : small;
  const std::size_t rounded = std::max(
      (size_bytes + smallest_alignment - 1) / smallest_alignment * smallest_alignment, alignment);
  void* memory = nullptr;
  auto* data =
      posix_memalign(&memory, alignment, rounded) == 0 ? static_cast<std::byte*>(memory) : nullptr;
  if (data == nullptr) {
    throw Error(errors::io_failed, {.what = "out of memory",
                                    .where = "host storage",
                                    .found = std::to_string(size_bytes) + " bytes asked for",
                                    .expected = {},
                                    .remedy = "a smaller model or batch, or a larger node"});
  }
  // A wish that the system may refuse.
  if (large) static_cast<void>(madvise(data, rounded, MADV_HUGEPAGE));
  std::memset(data, 0, rounded);
  return data;
}

class HostStorage final : public Storage {
 public:
  explicit HostStorage(std::size_t size_bytes)
      : Storage(Place::host, allocate(size_bytes), size_bytes) {}
  ~HostStorage() override { std::free(data()); }
};

class BorrowedStorage final : public Storage {
 public:
  BorrowedStorage(std::byte* data, std::size_t size_bytes, std::shared_ptr<const void> owner)
      : Storage(Place::host, data, size_bytes), owner_(std::move(owner)) {}

 private:
  std::shared_ptr<const void> owner_;
};

}  // namespace

StoragePtr make_host_storage(std::size_t size_bytes) {
  return std::make_shared<HostStorage>(size_bytes);
}

StoragePtr borrow_host_storage(std::byte* data, std::size_t size_bytes,
                               std::shared_ptr<const void> owner) {
  return std::make_shared<BorrowedStorage>(data, size_bytes, std::move(owner));
}

}  // namespace concordat
