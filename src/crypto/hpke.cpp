#include "concordat/crypto/hpke.hpp"

#include <algorithm>

#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::crypto {
namespace {

// RFC 9180: KEM 0x0020, KDF 0x0001, AEAD 0x0002, mode_base 0x00.
constexpr std::uint8_t kem_suite[] = {'K', 'E', 'M', 0x00, 0x20};
constexpr std::uint8_t hpke_suite[] = {'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x02};

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

SecretBytes labeled_extract(ByteView salt, ByteView suite, std::string_view label, ByteView ikm) {
  Bytes labeled;
  // Room for everything first: a vector that grows would leave copies of the secret behind.
  labeled.reserve(7 + suite.size() + label.size() + ikm.size());
  append(labeled, as_bytes("HPKE-v1"));
  append(labeled, suite);
  append(labeled, as_bytes(label));
  append(labeled, ikm);
  SecretBytes key = hkdf_extract(salt, labeled);
  cleanse(labeled);
  return key;
}

SecretBytes labeled_expand(ByteView key, ByteView suite, std::string_view label, ByteView info,
                           std::size_t length) {
  Bytes labeled = {static_cast<std::uint8_t>(length >> 8U), static_cast<std::uint8_t>(length)};
  append(labeled, as_bytes("HPKE-v1"));
  append(labeled, suite);
  append(labeled, as_bytes(label));
  append(labeled, info);
  return hkdf_expand(key, labeled, length);
}

/// ExtractAndExpand of section 4.1 over DH, with the context enc || recipient key.
SecretBytes kem_secret(ByteView dh, ByteView enc, ByteView recipient) {
  Bytes context(enc.begin(), enc.end());
  append(context, recipient);
  SecretBytes eae = labeled_extract({}, kem_suite, "eae_prk", dh);
  return labeled_expand(eae.view(), kem_suite, "shared_secret", context, 32);
}

struct Schedule {
  SecretBytes key;
  Nonce nonce{};
};

/// Key schedule of section 5.1 without PSK.
Schedule schedule(const SecretBytes& shared, ByteView info) {
  Bytes context = {0x00};
  append(context, labeled_extract({}, hpke_suite, "psk_id_hash", {}).view());
  append(context, labeled_extract({}, hpke_suite, "info_hash", info).view());
  SecretBytes secret = labeled_extract(shared.view(), hpke_suite, "secret", {});
  Schedule out;
  out.key = labeled_expand(secret.view(), hpke_suite, "key", context, aead_key_bytes);
  SecretBytes nonce = labeled_expand(secret.view(), hpke_suite, "base_nonce", context, 12);
  std::copy(nonce.view().begin(), nonce.view().end(), out.nonce.begin());
  return out;
}

}  // namespace

Bytes hpke_seal(const SealKey& recipient, ByteView info, ByteView associated, ByteView plain,
                SecureRandom& random) {
  OpeningKey fresh = OpeningKey::generate(random);
  ByteView enc = fresh.seal_key().view();
  SecretBytes dh = fresh.shared_secret(recipient);
  Schedule keys = schedule(kem_secret(dh.view(), enc, recipient.view()), info);
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
  SealKey fresh = SealKey::from(enc, "HPKE encapsulated key");
  SecretBytes dh = recipient.shared_secret(fresh);
  Schedule keys = schedule(kem_secret(dh.view(), enc, recipient.seal_key().view()), info);
  SecretBytes plain(sealed.size() - hpke_overhead_bytes);
  aead_open_into(keys.key.view(), keys.nonce, associated, sealed.subspan(32), plain.span());
  return plain;
}

Bytes hpke_open(const OpeningKey& recipient, ByteView info, ByteView associated, ByteView sealed) {
  SecretBytes plain = hpke_open_secret(recipient, info, associated, sealed);
  return Bytes(plain.view().begin(), plain.view().end());
}

}  // namespace concordat::crypto
