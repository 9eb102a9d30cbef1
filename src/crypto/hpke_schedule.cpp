#include "crypto/hpke_schedule.hpp"

#include <algorithm>
#include <array>

#include "concordat/crypto/hash.hpp"

namespace concordat::crypto {
namespace {

// KEM 0x0020, KDF 0x0001, mode_base 0x00.
constexpr std::uint8_t kem_suite[] = {'K', 'E', 'M', 0x00, 0x20};

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

}  // namespace

SecretBytes hpke_kem_secret(ByteView dh, ByteView enc, ByteView recipient) {
  Bytes context(enc.begin(), enc.end());
  append(context, recipient);
  SecretBytes eae = labeled_extract({}, kem_suite, "eae_prk", dh);
  return labeled_expand(eae.view(), kem_suite, "shared_secret", context, 32);
}

HpkeKeys hpke_schedule(const SecretBytes& shared, ByteView info, HpkeAead aead) {
  const std::array<std::uint8_t, 10> suite = {
      'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, static_cast<std::uint8_t>(aead)};
  Bytes context = {0x00};
  append(context, labeled_extract({}, suite, "psk_id_hash", {}).view());
  append(context, labeled_extract({}, suite, "info_hash", info).view());
  SecretBytes secret = labeled_extract(shared.view(), suite, "secret", {});
  const std::size_t key_bytes = aead == HpkeAead::aes_128_gcm ? 16 : 32;
  HpkeKeys out;
  out.key = labeled_expand(secret.view(), suite, "key", context, key_bytes);
  SecretBytes nonce = labeled_expand(secret.view(), suite, "base_nonce", context, 12);
  std::copy(nonce.view().begin(), nonce.view().end(), out.nonce.begin());
  return out;
}

}  // namespace concordat::crypto
