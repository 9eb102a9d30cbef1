// SecureRandom: the only source of keys, nonces and privacy noise.
//
//   SecretBytes key(32);
//   system_random().fill(key.span());
//
// It has no operator() and no result_type, so no numeric generator or distribution accepts it, and
// it accepts no seed: initial weights and data order come from `exact`, secrets come from here.
#pragma once

#include "concordat/core/bytes.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::crypto {

class SecureRandom {
 public:
  virtual ~SecureRandom() = default;
  /// Fills all of `out`. @throws Error(library_failed) rather than giving weak bytes.
  virtual void fill(ByteSpan out) = 0;
  SecretBytes secret(std::size_t size) {
    SecretBytes bytes(size);
    fill(bytes.span());
    return bytes;
  }
};

/// The operating system's generator (through OpenSSL); lives for the whole program, any thread.
SecureRandom& system_random();

}  // namespace concordat::crypto
