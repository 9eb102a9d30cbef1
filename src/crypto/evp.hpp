// Owners and the one failure path for OpenSSL's EVP objects.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>

#include <string>

#include "concordat/core/unique_handle.hpp"
#include "concordat/crypto/errors.hpp"

namespace concordat::crypto {

template <typename T, void (*Free)(T*)>
struct EvpTraits {
  using Handle = T*;
  static constexpr Handle empty() { return nullptr; }
  static void destroy(Handle handle) noexcept { Free(handle); }
};
using Cipher = UniqueHandle<EvpTraits<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>>;
using MessageDigest = UniqueHandle<EvpTraits<EVP_MD_CTX, EVP_MD_CTX_free>>;
using KeyContext = UniqueHandle<EvpTraits<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;
using KeyHandle = UniqueHandle<EvpTraits<EVP_PKEY, EVP_PKEY_free>>;

/// For calls that fail only when the library or the machine does.
inline void require_evp(bool succeeded, const char* what) {
  if (succeeded) return;
  char text[256] = "no reason given";
  if (unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  throw Error(errors::library_failed, {.what = std::string("OpenSSL failed: ") + what,
                                       .where = "libcrypto",
                                       .found = text,
                                       .expected = "OpenSSL 3 with its default provider",
                                       .remedy = "check OPENSSL_CONF and the free memory"});
}

inline int int_of(std::size_t value) {
  CONCORDAT_REQUIRE(value <= 0x7fff'ffffU, std::to_string(value));
  return static_cast<int>(value);
}

}  // namespace concordat::crypto
