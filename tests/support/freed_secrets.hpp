// FreedSecrets: looks into every block of memory that a program frees, for bytes that should have
// been overwritten. It replaces operator new and delete, so one source of a program includes it.
//
//   FreedSecrets watch(key);            // from now on
//   encode(secrets);
//   EXPECT_EQ(watch.found(), 0U);       // blocks that were freed with the key in them
#pragma once

#include <malloc.h>
#include <string.h>

#include <cstdlib>
#include <new>

#include "concordat/core/bytes.hpp"

namespace concordat::testing_support {

class FreedSecrets {
 public:
  /// `needle` must outlive this.
  explicit FreedSecrets(ByteView needle) {
    needle_ = needle;
    found_ = 0;
  }
  FreedSecrets(const FreedSecrets&) = delete;
  FreedSecrets& operator=(const FreedSecrets&) = delete;
  ~FreedSecrets() { needle_ = {}; }
  std::size_t found() const { return found_; }

  static void look(void* block) noexcept {
    if (needle_.empty() || block == nullptr) return;
    if (::memmem(block, ::malloc_usable_size(block), needle_.data(), needle_.size()) != nullptr) {
      ++found_;
    }
  }

 private:
  static inline thread_local ByteView needle_{};
  static inline thread_local std::size_t found_ = 0;
};

}  // namespace concordat::testing_support

// Zeroed, so that a block never shows what somebody else left in it.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* block = std::calloc(1, size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  concordat::testing_support::FreedSecrets::look(block);
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  concordat::testing_support::FreedSecrets::look(block);
  std::free(block);
}
