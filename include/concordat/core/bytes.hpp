// Byte strings and digests, and the bounded little-endian codec that every binary format uses.
//
//   ByteWriter out;
//   out.u32(7);
//   out.sized(payload);                       // u32 length, then the bytes
//   ByteReader in(out.bytes(), "example");
//   auto seven = in.u32();
//   auto body = in.sized(/*max_bytes=*/1024); // throws Error(malformed) beyond the bound
//   in.finish();                              // throws if bytes are left over
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace concordat {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using ByteSpan = std::span<std::uint8_t>;

/// A 32-byte value: a SHA-256 digest, a Merkle root, a public key's fingerprint.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
  bool is_zero() const;
  std::string hex() const;
  ByteView view() const { return bytes; }
};

/// View of the characters of `text`, without a terminating zero.
ByteView as_bytes(std::string_view text);
std::string to_string(ByteView bytes);

std::string to_hex(ByteView bytes);
/// @throws Error(malformed) on an odd length or a character that is no hex digit.
Bytes from_hex(std::string_view text, std::string_view where);
Digest digest_from_hex(std::string_view text, std::string_view where);
/// @throws Error(malformed) unless exactly 32 bytes.
Digest digest_from(ByteView bytes, std::string_view where);

std::string to_base64(ByteView bytes);
/// Strict RFC 4648 with padding. @throws Error(malformed).
Bytes from_base64(std::string_view text, std::string_view where);

/// Appends little-endian fields to a growing buffer.
class ByteWriter {
 public:
  void u8(std::uint8_t value);
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void i64(std::int64_t value);
  /// Exact bits of a float or double.
  void f32(float value);
  void f64(double value);
  void raw(ByteView bytes);
  /// u32 length, then the bytes. @pre fewer than 2^32 bytes.
  void sized(ByteView bytes);
  void sized(std::string_view text);
  void digest(const Digest& value);
  const Bytes& bytes() const& { return bytes_; }
  Bytes bytes() && { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

/// Reads fields in order from a view that must outlive it. Each getter throws Error(malformed)
/// naming `where` when too few bytes are left; nothing is allocated before its bound is checked.
class ByteReader {
 public:
  ByteReader(ByteView bytes, std::string_view where) : bytes_(bytes), where_(where) {}
  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  std::int64_t i64();
  float f32();
  double f64();
  ByteView raw(std::size_t count);
  ByteView sized(std::size_t max_bytes);
  std::string sized_string(std::size_t max_bytes);
  Digest digest();
  /// Reads a u32 count and refuses one above `max_count`.
  std::uint32_t count(std::uint32_t max_count);
  std::size_t left() const { return bytes_.size() - at_; }
  /// @throws Error(malformed) if bytes are left.
  void finish() const;

 private:
  ByteView take(std::size_t count);
  ByteView bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

}  // namespace concordat
