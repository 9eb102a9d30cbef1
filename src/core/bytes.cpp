#include "concordat/core/bytes.hpp"

#include <bit>
#include <cstring>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

template <typename T>
void append_le(Bytes& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

template <typename T>
T load_le(ByteView bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | (static_cast<T>(bytes[i]) << (8 * i)));
  }
  return value;
}

[[noreturn]] void malformed(std::string_view what, std::string_view where, std::string found,
                            std::string expected) {
  throw Error(errors::malformed, {.what = std::string(what),
                                  .where = std::string(where),
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "it was damaged on its way or is of another version: "
                                            "fetch or restore it once more"});
}

}  // namespace

bool Digest::is_zero() const { return *this == Digest{}; }

std::string Digest::hex() const { return to_hex(bytes); }

ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string to_string(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::uint8_t byte : bytes) {
    text.push_back(hex_digits[byte >> 4U]);
    text.push_back(hex_digits[byte & 15U]);
  }
  return text;
}

Bytes from_hex(std::string_view text, std::string_view where) {
  if (text.size() % 2 != 0) {
    malformed("a hex string has an odd length", where, std::to_string(text.size()), "pairs");
  }
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int high = hex_value(text[i]);
    int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) {
      malformed("a hex string has a character that is no lower-case hex digit", where,
                std::string(text.substr(i, 2)), "0-9 or a-f");
    }
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

Digest digest_from(ByteView bytes, std::string_view where) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    malformed("a digest has the wrong length", where, std::to_string(bytes.size()) + " bytes",
              "32 bytes");
  }
  std::memcpy(digest.bytes.data(), bytes.data(), bytes.size());
  return digest;
}

Digest digest_from_hex(std::string_view text, std::string_view where) {
  return digest_from(from_hex(text, where), where);
}

std::string to_base64(ByteView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (j < left ? bytes[i + j] : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text.push_back(j <= left ? base64_digits[(group >> (18 - 6 * j)) & 63U] : '=');
    }
  }
  return text;
}

Bytes from_base64(std::string_view text, std::string_view where) {
  auto refuse = [&](std::string_view found) {
    malformed("a base64 string is not valid", where, std::string(found),
              "RFC 4648 base64 with padding");
  };
  if (text.size() % 4 != 0) refuse(std::to_string(text.size()) + " characters");
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    bool last = i + 4 == text.size();
    std::size_t digits = 4;
    if (last && text[i + 3] == '=') digits = text[i + 2] == '=' ? 2 : 3;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      std::size_t value = j < digits ? base64_digits.find(text[i + j]) : 0;
      if (value == std::string_view::npos) refuse(text.substr(i, 4));
      group = (group << 6U) | static_cast<std::uint32_t>(value);
    }
    for (std::size_t j = 0; j + 1 < digits; ++j) {
      bytes.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * j)));
    }
    // Bits that the padding drops must be zero, so that one value has one spelling.
    if ((digits == 2 && (group & 0xffffU) != 0) || (digits == 3 && (group & 0xffU) != 0)) {
      refuse(text.substr(i, 4));
    }
  }
  return bytes;
}

void ByteWriter::u8(std::uint8_t value) { bytes_.push_back(value); }
void ByteWriter::u16(std::uint16_t value) { append_le(bytes_, value); }
void ByteWriter::u32(std::uint32_t value) { append_le(bytes_, value); }
void ByteWriter::u64(std::uint64_t value) { append_le(bytes_, value); }
void ByteWriter::i64(std::int64_t value) { append_le(bytes_, static_cast<std::uint64_t>(value)); }
void ByteWriter::f32(float value) { u32(std::bit_cast<std::uint32_t>(value)); }
void ByteWriter::f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }
void ByteWriter::raw(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

void ByteWriter::sized(ByteView bytes) {
  CONCORDAT_REQUIRE(bytes.size() <= 0xffff'ffffU, std::to_string(bytes.size()));
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

void ByteWriter::sized(std::string_view text) { sized(as_bytes(text)); }
void ByteWriter::digest(const Digest& value) { raw(value.bytes); }

ByteView ByteReader::take(std::size_t count) {
  if (count > left()) {
    malformed("the bytes end early", where_, std::to_string(left()) + " bytes left",
              std::to_string(count) + " bytes at offset " + std::to_string(at_));
  }
  ByteView view = bytes_.subspan(at_, count);
  at_ += count;
  return view;
}

std::uint8_t ByteReader::u8() { return take(1)[0]; }
std::uint16_t ByteReader::u16() { return load_le<std::uint16_t>(take(2)); }
std::uint32_t ByteReader::u32() { return load_le<std::uint32_t>(take(4)); }
std::uint64_t ByteReader::u64() { return load_le<std::uint64_t>(take(8)); }
std::int64_t ByteReader::i64() { return static_cast<std::int64_t>(u64()); }
float ByteReader::f32() { return std::bit_cast<float>(u32()); }
double ByteReader::f64() { return std::bit_cast<double>(u64()); }
ByteView ByteReader::raw(std::size_t count) { return take(count); }

ByteView ByteReader::sized(std::size_t max_bytes) {
  std::uint32_t length = u32();
  if (length > max_bytes) {
    malformed("a field is longer than its bound", where_, std::to_string(length) + " bytes",
              "at most " + std::to_string(max_bytes));
  }
  return take(length);
}

std::string ByteReader::sized_string(std::size_t max_bytes) { return to_string(sized(max_bytes)); }
Digest ByteReader::digest() { return digest_from(take(32), where_); }

std::uint32_t ByteReader::count(std::uint32_t max_count) {
  std::uint32_t value = u32();
  if (value > max_count) {
    malformed("a list is longer than its bound", where_, std::to_string(value) + " entries",
              "at most " + std::to_string(max_count));
  }
  return value;
}

void ByteReader::finish() const {
  if (left() != 0) {
    malformed("bytes are left after the last field", where_, std::to_string(left()) + " bytes",
              "none");
  }
}

}  // namespace concordat
