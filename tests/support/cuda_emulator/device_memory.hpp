// The emulated device's memory: one reserved range that the host may touch only while a Gate is
// open, and the state of each of its bytes (cuda_emulator_device.hpp).
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace cuda_emulator {

class DeviceMemory {
 public:
  DeviceMemory();
  /// nullptr: out of memory.
  void* allocate(std::size_t bytes, int device);
  /// Of the allocation that `pointer` is; -1: it is none.
  int device_of(const void* pointer) const;
  /// false: `pointer` is no allocation.
  bool release(void* pointer);
  std::size_t count() const { return live_.size(); }
  std::size_t bytes() const { return live_bytes_; }
  std::size_t limit_bytes = std::size_t{6} << 30U;

  /// Kernels and copies run inside. Gates nest.
  void open();
  void close();

  bool owns(const void* pointer) const;
  /// Copies inside the device carry the states of the bytes with them.
  void copy(void* to, const void* from, std::size_t bytes);
  void mark_written(void* to, std::size_t bytes);
  /// "12 bytes behind the end of an allocation of 400 bytes", for messages.
  std::string describe(const void* at) const;

 private:
  std::byte* base_ = nullptr;
  struct Allocation {
    std::size_t bytes = 0;  // asked for
    int device = 0;
  };
  std::map<std::size_t, Allocation> live_;   // by offset
  std::map<std::size_t, std::size_t> gaps_;  // offset to bytes, merged
  std::size_t live_bytes_ = 0;
  std::size_t used_bytes_ = 0;  // high-water mark
  int gates_ = 0;
};

}  // namespace cuda_emulator
