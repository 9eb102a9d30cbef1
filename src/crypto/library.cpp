#include "concordat/crypto/library.hpp"

#include <openssl/crypto.h>

namespace concordat::crypto {

std::string library_in_use() {
  // "OpenSSL 3.0.15 3 Sep 2024 (...)": name and number are enough.
  const std::string text = OpenSSL_version(OPENSSL_VERSION);
  const std::size_t name = text.find(' ');
  return text.substr(0, name == std::string::npos ? name : text.find(' ', name + 1));
}

}  // namespace concordat::crypto
