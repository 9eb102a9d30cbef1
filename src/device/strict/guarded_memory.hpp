// One reserved range of address space whose used part is protected unless a Gate is open.
//
//   auto memory = std::make_shared<GuardedMemory>();
//   StoragePtr storage = GuardedMemory::allocate(memory, 4096);   // poisoned, Place::device
//   { GuardedMemory::Gate gate(*memory); storage->data()[0] = ...; }
//
// Threads: safe from many.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "concordat/core/storage.hpp"

namespace concordat::device {

class GuardedMemory {
 public:
  /// Reserves address space only; pages are taken as they are touched. @pre whole pages.
  explicit GuardedMemory(std::size_t reserved_bytes = std::size_t{8} << 30U);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  /// The storage keeps `memory` alive. @throws Error(io_failed) when the range is used up.
  static StoragePtr allocate(const std::shared_ptr<GuardedMemory>& memory, std::size_t size_bytes);

  /// While any gate is open the memory can be touched, by every thread.
  class Gate {
   public:
    explicit Gate(GuardedMemory& memory) : memory_(memory) { memory_.open(); }
    ~Gate() { memory_.close(); }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

   private:
    GuardedMemory& memory_;
  };

 private:
  std::size_t reserve(std::size_t bytes);
  void release(std::size_t offset, std::size_t bytes);
  void open();
  void close();
  void protect(int mode);

  friend class GuardedStorage;
  std::mutex mutex_;
  std::byte* base_ = nullptr;
  std::size_t reserved_bytes_;
  std::size_t used_bytes_ = 0;               // high-water mark, whole pages
  std::map<std::size_t, std::size_t> free_;  // offset to bytes, merged
  int gates_ = 0;
};

}  // namespace concordat::device
