// The emulated twin of src/device/cuda/hardware/cuda_access.cuh: every access of a kernel to memory
// is checked. Reads find memory that nobody wrote, both find addresses outside of an allocation or
// of the tensor, and shared memory is watched for accesses that no barrier orders.
#pragma once

#include <string>
#include <vector>

#include "cuda_runtime.h"

namespace concordat::device::cuda {

/// An access of several elements at once has to begin at a multiple of its size.
template <typename T>
void require_aligned(const T* at) {
  if (alignof(T) == 16) ++cuda_emulator::wide_access_count;
  if (reinterpret_cast<std::uintptr_t>(at) % alignof(T) != 0) {
    cuda_emulator::fault("an access of " + std::to_string(sizeof(T)) +
                         " bytes that is no multiple of " + std::to_string(alignof(T)) +
                         " bytes away from 0: misaligned");
  }
}

template <typename T>
T read(const T* from) {
  require_aligned(from);
  cuda_emulator::check_read(from, sizeof(T));
  return *from;
}

template <typename T>
void write(T* to, T value) {
  require_aligned(to);
  cuda_emulator::check_write(to, sizeof(T));
  *to = value;
}

inline void in_bounds(std::int64_t index, std::int64_t count) {
  if (index < 0 || index >= count) {
    cuda_emulator::fault("index " + std::to_string(index) + " outside of " + std::to_string(count));
  }
}

/// Shared memory of one block. Two threads that touch an element, one of them writing, need a
/// __syncthreads between them, or within a warp a __syncwarp.
template <typename T, int count>
class Shared {
 public:
  T load(int i) {
    in_bounds(i, count);
    const cuda_emulator::Here& now = cuda_emulator::here();
    Access& a = access_[static_cast<std::size_t>(i)];
    if (a.serial != now.block_serial || !a.written) {
      cuda_emulator::fault("shared element " + std::to_string(i) +
                           " read before it was written (a barrier missing?)");
    }
    if (unordered(a.writer, a.write_epoch, a.write_warp_epoch, now)) {
      cuda_emulator::fault("shared element " + std::to_string(i) + " written by thread " +
                           std::to_string(a.writer) + " and read by thread " +
                           std::to_string(now.thread) + " without a barrier between");
    }
    if (a.read_epoch != now.block_epoch || a.reader == none) {
      a.reader = now.thread;
      a.foreign_reader = none;
    } else if (a.reader != now.thread) {
      // Of several readers one of another warp is the one to remember: only a block barrier
      // orders it.
      if (a.foreign_reader == none || a.foreign_reader / 32 == a.reader / 32) {
        a.foreign_reader = now.thread;
      }
    }
    a.read_epoch = now.block_epoch;
    a.read_warp_epoch = now.warp_epoch;
    return values_[static_cast<std::size_t>(i)];
  }

  void store(int i, T value) {
    in_bounds(i, count);
    const cuda_emulator::Here& now = cuda_emulator::here();
    Access& a = access_[static_cast<std::size_t>(i)];
    if (a.serial != now.block_serial) {
      a = Access{};
      a.serial = now.block_serial;
    }
    const bool behind_writer =
        a.written && unordered(a.writer, a.write_epoch, a.write_warp_epoch, now);
    const bool behind_reader = unordered(a.reader, a.read_epoch, a.read_warp_epoch, now) ||
                               unordered(a.foreign_reader, a.read_epoch, a.read_warp_epoch, now);
    if (behind_writer || behind_reader) {
      cuda_emulator::fault("shared element " + std::to_string(i) + " " +
                           (behind_writer ? "written" : "read") +
                           " by another thread and written by thread " +
                           std::to_string(now.thread) + " without a barrier between");
    }
    a.written = true;
    a.writer = now.thread;
    a.write_epoch = now.block_epoch;
    a.write_warp_epoch = now.warp_epoch;
    values_[static_cast<std::size_t>(i)] = value;
  }

 private:
  static constexpr std::int32_t none = -1;
  struct Access {
    std::uint32_t serial = 0;
    bool written = false;
    std::int32_t writer = none;
    std::uint32_t write_epoch = 0;
    std::uint32_t write_warp_epoch = 0;
    std::int32_t reader = none;
    std::int32_t foreign_reader = none;  ///< a second one
    std::uint32_t read_epoch = 0;
    std::uint32_t read_warp_epoch = 0;
  };

  static bool unordered(std::int32_t other, std::uint32_t epoch, std::uint32_t warp_epoch,
                        const cuda_emulator::Here& now) {
    if (other == none || other == now.thread || epoch != now.block_epoch) return false;
    return other / 32 != now.warp() || warp_epoch == now.warp_epoch;
  }

  // On the heap: thread-local storage of a program is small.
  std::vector<T> values_ = std::vector<T>(count);
  std::vector<Access> access_ = std::vector<Access>(count);
};

}  // namespace concordat::device::cuda
