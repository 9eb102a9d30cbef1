#include "concordat/core/storage.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

constexpr std::size_t alignment = 64;

std::byte* allocate(std::size_t size_bytes) {
  std::size_t rounded = (size_bytes + alignment - 1) / alignment * alignment;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(alignment, std::max(rounded, alignment)));
  if (data == nullptr) {
    throw Error(errors::io_failed, {.what = "out of memory",
                                    .where = "host storage",
                                    .found = std::to_string(size_bytes) + " bytes asked for",
                                    .expected = {},
                                    .remedy = "a smaller model or batch, or a larger node"});
  }
  std::memset(data, 0, std::max(rounded, alignment));
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
