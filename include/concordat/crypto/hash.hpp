// SHA-256, HMAC-SHA-256 and HKDF-SHA-256 (FIPS 180-4, RFC 2104, RFC 5869).
//
//   Digest whole = sha256(bytes);
//   Sha256 hash;
//   hash.update(first);
//   hash.update(second);
//   Digest same = hash.finish();
//   SecretBytes key = hkdf_sha256(secret.view(), salt, as_bytes("purpose"), 32);
#pragma once

#include "concordat/core/bytes.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::crypto {

Digest sha256(ByteView bytes);

/// Streaming SHA-256. Movable; one thread at a time.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256& operator=(Sha256&& other) noexcept;
  ~Sha256();
  Sha256& update(ByteView bytes);
  /// The digest of everything so far; the object starts anew.
  Digest finish();

 private:
  void* context_;
};

Digest hmac_sha256(ByteView key, ByteView message);

/// HKDF extract-then-expand. An empty salt is 32 zero bytes, as in the RFC.
/// @pre length <= 255 * 32.
SecretBytes hkdf_sha256(ByteView key_material, ByteView salt, ByteView info, std::size_t length);
/// The two halves alone; HPKE needs them.
SecretBytes hkdf_extract(ByteView salt, ByteView key_material);
SecretBytes hkdf_expand(ByteView pseudorandom_key, ByteView info, std::size_t length);

}  // namespace concordat::crypto
