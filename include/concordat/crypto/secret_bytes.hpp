// SecretBytes: memory for keys. It is overwritten before it is freed, cannot be copied by accident,
// and cannot be printed.
//
//   SecretBytes seed(32);
//   random.fill(seed.span());
//   SecretBytes other = seed.clone();     // a copy is always spelled out
//   if (constant_time_equal(seed.view(), other.view())) ...
//
// Threads: like a vector. Failure: std::bad_alloc only.
#pragma once

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

/// Overwrites `bytes` with zeros in a way that the compiler keeps.
void cleanse(ByteSpan bytes) noexcept;

/// True when both have the same length and bytes; time depends on the length only.
bool constant_time_equal(ByteView a, ByteView b) noexcept;

class SecretBytes {
 public:
  SecretBytes() = default;
  /// `size` zero bytes.
  explicit SecretBytes(std::size_t size) : bytes_(size) {}
  /// Copies; the source stays with the caller, who cleanses it.
  static SecretBytes copy_of(ByteView bytes);
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) {
    other.bytes_.clear();
  }
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes clone() const { return copy_of(view()); }
  ByteView view() const { return bytes_; }
  ByteSpan span() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

/// Writes secret fields, little-endian, into memory of a size that is known before: it never grows,
/// so no freed copy of a key is left behind, as a ByteWriter leaves them.
///
///   SecretWriter out(1 + 32);
///   out.u8(version);
///   out.raw(key.view());
///   SecretBytes plain = std::move(out).finish();
class SecretWriter {
 public:
  explicit SecretWriter(std::size_t size) : bytes_(size) {}
  /// @pre room is left, for each.
  void u8(std::uint8_t value);
  void u32(std::uint32_t value);
  void raw(ByteView bytes);
  /// u32 length, then the bytes.
  void sized(ByteView bytes);
  /// @pre every byte was written.
  SecretBytes finish() &&;

 private:
  SecretBytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace concordat::crypto
