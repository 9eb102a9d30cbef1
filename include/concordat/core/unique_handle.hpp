// One owner for C handles (MPI, NCCL, CUDA, HDF5, OpenSSL). Moved-from is empty; destroyed once.
//
//   struct FdTraits {
//     using Handle = int;
//     static constexpr Handle empty() { return -1; }
//     static void destroy(Handle fd) noexcept { ::close(fd); }
//   };
//   UniqueHandle<FdTraits> fd(::open(path, O_RDONLY));
#pragma once

#include <utility>

namespace concordat {

template <typename Traits>
class UniqueHandle {
 public:
  using Handle = typename Traits::Handle;
  UniqueHandle() = default;
  explicit UniqueHandle(Handle handle) : handle_(handle) {}
  UniqueHandle(UniqueHandle&& other) noexcept : handle_(other.release()) {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueHandle(const UniqueHandle&) = delete;
  UniqueHandle& operator=(const UniqueHandle&) = delete;
  ~UniqueHandle() { reset(); }

  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != Traits::empty(); }
  Handle release() { return std::exchange(handle_, Traits::empty()); }
  void reset(Handle handle = Traits::empty()) {
    if (handle_ != Traits::empty()) Traits::destroy(handle_);
    handle_ = handle;
  }

 private:
  Handle handle_ = Traits::empty();
};

}  // namespace concordat
