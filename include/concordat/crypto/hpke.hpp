// HPKE base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, single shot.
//
//   Bytes sealed = hpke_seal(peer_seal_key, info, associated, plain, system_random());
//   Bytes plain  = hpke_open(my_opening_key, info, associated, sealed);
//
// sealed = 32 bytes of encapsulated key, ciphertext, 16 bytes of tag. Base mode says nothing about
// the sender: sign what you seal. Each call draws a fresh key pair, so nonce 0 never repeats.
#pragma once

#include "concordat/crypto/keys.hpp"

namespace concordat::crypto {

inline constexpr std::size_t hpke_overhead_bytes = 32 + 16;

/// @throws Error(bad_key) for a recipient key of small order.
Bytes hpke_seal(const SealKey& recipient, ByteView info, ByteView associated, ByteView plain,
                SecureRandom& random);
/// @throws Error(open_failed) when key, info, associated data or any byte differs.
Bytes hpke_open(const OpeningKey& recipient, ByteView info, ByteView associated, ByteView sealed);
/// The same for a plaintext that is itself secret.
SecretBytes hpke_open_secret(const OpeningKey& recipient, ByteView info, ByteView associated,
                             ByteView sealed);

}  // namespace concordat::crypto
