// Ref-counted memory behind tensors.
//
// Host storage is aligned to 64 bytes and zeroed. A back end makes other storage by deriving: the
// `strict` test back end protects its pages, a GPU plug-in holds device memory.
#pragma once

#include <cstddef>
#include <memory>

namespace concordat {

/// Where the bytes live. `host` may be touched by anybody; `device` only inside ops of its stream.
enum class Place { host, device };

class Storage {
 public:
  virtual ~Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  Place place() const { return place_; }
  std::size_t size_bytes() const { return size_bytes_; }
  std::byte* data() const { return data_; }

 protected:
  Storage(Place place, std::byte* data, std::size_t size_bytes)
      : place_(place), data_(data), size_bytes_(size_bytes) {}

 private:
  Place place_;
  std::byte* data_;
  std::size_t size_bytes_;
};

using StoragePtr = std::shared_ptr<Storage>;

/// @throws Error(io_failed) when the memory cannot be had.
StoragePtr make_host_storage(std::size_t size_bytes);

/// Wraps memory that `owner` keeps alive.
StoragePtr borrow_host_storage(std::byte* data, std::size_t size_bytes,
                               std::shared_ptr<const void> owner);

}  // namespace concordat
