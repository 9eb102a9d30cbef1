#include "concordat/crypto/secret_bytes.hpp"

#include <openssl/crypto.h>

#include <algorithm>

#include "concordat/core/error.hpp"

namespace concordat::crypto {

void cleanse(ByteSpan bytes) noexcept {
  if (!bytes.empty()) OPENSSL_cleanse(bytes.data(), bytes.size());
}

bool constant_time_equal(ByteView a, ByteView b) noexcept {
  if (a.size() != b.size()) return false;
  return a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

SecretBytes SecretBytes::copy_of(ByteView bytes) {
  SecretBytes copy(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.bytes_.begin());
  return copy;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    cleanse(bytes_);
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

SecretBytes::~SecretBytes() { cleanse(bytes_); }

void SecretWriter::raw(ByteView bytes) {
  CONCORDAT_REQUIRE(bytes.size() <= bytes_.size() - at_,
                    std::to_string(bytes.size()) + " bytes at " + std::to_string(at_));
  std::copy(bytes.begin(), bytes.end(), bytes_.span().begin() + static_cast<std::ptrdiff_t>(at_));
  at_ += bytes.size();
}

void SecretWriter::u8(std::uint8_t value) { raw({&value, 1}); }

void SecretWriter::u32(std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) u8(static_cast<std::uint8_t>(value >> (8 * i)));
}

void SecretWriter::sized(ByteView bytes) {
  CONCORDAT_REQUIRE(bytes.size() <= 0xffff'ffffU, std::to_string(bytes.size()));
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

SecretBytes SecretWriter::finish() && {
  CONCORDAT_REQUIRE(at_ == bytes_.size(),
                    std::to_string(at_) + " of " + std::to_string(bytes_.size()) + " bytes");
  return std::move(bytes_);
}

}  // namespace concordat::crypto
