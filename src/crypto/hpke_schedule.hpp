// The two derivations of HPKE base mode, apart from the AEAD, so that tests can hold them to the
// RFC's own numbers (whose appendix has X25519 with other AEADs only).
#pragma once

#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::crypto {

/// AEAD identifiers of RFC 9180 section 7.3. Only aes_256_gcm is ever sealed with.
enum class HpkeAead : std::uint8_t { aes_128_gcm = 1, aes_256_gcm = 2, chacha20_poly1305 = 3 };

struct HpkeKeys {
  SecretBytes key;
  Nonce nonce{};
};

/// ExtractAndExpand of section 4.1 over a Diffie-Hellman value, with the context enc || recipient.
SecretBytes hpke_kem_secret(ByteView dh, ByteView enc, ByteView recipient);
/// Key schedule of section 5.1 without PSK.
HpkeKeys hpke_schedule(const SecretBytes& shared, ByteView info, HpkeAead aead);

}  // namespace concordat::crypto
