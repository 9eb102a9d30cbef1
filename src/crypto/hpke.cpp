#include "concordat/crypto/hpke.hpp"

#include <algorithm>

#include "concordat/crypto/errors.hpp"
#include "crypto/hpke_schedule.hpp"

namespace concordat::crypto {

Bytes hpke_seal(const SealKey& recipient, ByteView info, ByteView associated, ByteView plain,
                SecureRandom& random) {
  OpeningKey fresh = OpeningKey::generate(random);
  ByteView enc = fresh.seal_key().view();
  SecretBytes dh = fresh.shared_secret(recipient);
  SecretBytes shared = hpke_kem_secret(dh.view(), enc, recipient.view());
  HpkeKeys keys = hpke_schedule(shared, info, HpkeAead::aes_256_gcm);
  Bytes sealed(hpke_overhead_bytes + plain.size());
  std::copy(enc.begin(), enc.end(), sealed.begin());
  aead_seal_into(keys.key.view(), keys.nonce, associated, plain, ByteSpan(sealed).subspan(32));
  return sealed;
}

SecretBytes hpke_open_secret(const OpeningKey& recipient, ByteView info, ByteView associated,
                             ByteView sealed) {
  if (sealed.size() < hpke_overhead_bytes) {
    throw Error(errors::open_failed, {.what = "an HPKE text is shorter than its key and tag",
                                      .where = "HPKE",
                                      .found = std::to_string(sealed.size()) + " bytes",
                                      .expected = "at least 48",
                                      .remedy = "fetch it again: it was cut"});
  }
  ByteView enc = sealed.first(32);
  SecretBytes dh;
  try {
    dh = recipient.shared_secret(SealKey::from(enc, "HPKE encapsulated key"));
  } catch (const Error&) {
    // A point of small order in place of the key: to the caller a text that does not open.
    throw Error(errors::open_failed, {.what = "an HPKE text has no usable encapsulated key",
                                      .where = "HPKE",
                                      .found = "a point of small order",
                                      .expected = "a fresh X25519 key",
                                      .remedy = "refuse the sender"});
  }
  SecretBytes shared = hpke_kem_secret(dh.view(), enc, recipient.seal_key().view());
  HpkeKeys keys = hpke_schedule(shared, info, HpkeAead::aes_256_gcm);
  SecretBytes plain(sealed.size() - hpke_overhead_bytes);
  aead_open_into(keys.key.view(), keys.nonce, associated, sealed.subspan(32), plain.span());
  return plain;
}

Bytes hpke_open(const OpeningKey& recipient, ByteView info, ByteView associated, ByteView sealed) {
  SecretBytes plain = hpke_open_secret(recipient, info, associated, sealed);
  return Bytes(plain.view().begin(), plain.view().end());
}

}  // namespace concordat::crypto
