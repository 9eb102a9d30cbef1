#include "concordat/crypto/keys.hpp"

#include "crypto/evp.hpp"

namespace concordat::crypto {
namespace {

KeyHandle private_key(int type, ByteView bytes) {
  CONCORDAT_REQUIRE(bytes.size() == 32, std::to_string(bytes.size()));
  KeyHandle key(EVP_PKEY_new_raw_private_key(type, nullptr, bytes.data(), bytes.size()));
  require_evp(static_cast<bool>(key), "reading a private key");
  return key;
}

std::array<std::uint8_t, 32> public_half(const KeyHandle& key) {
  std::array<std::uint8_t, 32> bytes{};
  std::size_t size = bytes.size();
  require_evp(EVP_PKEY_get_raw_public_key(key.get(), bytes.data(), &size) == 1 && size == 32,
              "computing a public key");
  return bytes;
}

}  // namespace

SigningKey SigningKey::generate(SecureRandom& random) {
  SecretBytes seed = random.secret(32);
  return from_seed(seed.view());
}

SigningKey SigningKey::from_seed(ByteView seed) {
  SigningKey key;
  key.verify_key_.bytes = public_half(private_key(EVP_PKEY_ED25519, seed));
  key.seed_ = SecretBytes::copy_of(seed);
  return key;
}

Signature SigningKey::sign(ByteView message) const {
  KeyHandle key = private_key(EVP_PKEY_ED25519, seed_.view());
  MessageDigest context(EVP_MD_CTX_new());
  Signature signature{};
  std::size_t size = signature.size();
  require_evp(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                  EVP_DigestSign(context.get(), signature.data(), &size, message.data(),
                                 message.size()) == 1 &&
                  size == signature.size(),
              "signing");
  return signature;
}

bool verify(const VerifyKey& key, ByteView message, const Signature& signature) {
  KeyHandle handle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), 32));
  MessageDigest context(EVP_MD_CTX_new());
  bool good = handle && context &&
              EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) == 1 &&
              EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                               message.size()) == 1;
  ERR_clear_error();
  return good;
}

Signature signature_from(ByteView bytes, std::string_view where) {
  Signature signature{};
  if (bytes.size() != signature.size()) {
    throw Error(concordat::errors::malformed, {.what = "a signature has the wrong length",
                                               .where = std::string(where),
                                               .found = std::to_string(bytes.size()) + " bytes",
                                               .expected = "64 bytes (Ed25519)",
                                               .remedy = "fetch the document again"});
  }
  std::copy(bytes.begin(), bytes.end(), signature.begin());
  return signature;
}

void require_signature(const VerifyKey& key, ByteView message, ByteView signature,
                       std::string_view where) {
  if (verify(key, message, signature_from(signature, where))) return;
  throw Error(errors::bad_signature, {.what = "the signature does not verify",
                                      .where = std::string(where),
                                      .found = "a signature over other bytes or by another key",
                                      .expected = "one by Ed25519 key " + key.hex(),
                                      .remedy = "get the document again from its signer"});
}

OpeningKey OpeningKey::generate(SecureRandom& random) {
  SecretBytes bytes = random.secret(32);
  return from_private(bytes.view());
}

OpeningKey OpeningKey::from_private(ByteView bytes) {
  OpeningKey key;
  key.seal_key_.bytes = public_half(private_key(EVP_PKEY_X25519, bytes));
  key.private_ = SecretBytes::copy_of(bytes);
  return key;
}

SecretBytes OpeningKey::shared_secret(const SealKey& peer) const {
  KeyHandle mine = private_key(EVP_PKEY_X25519, private_.view());
  KeyHandle theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.bytes.data(), 32));
  KeyContext context(EVP_PKEY_CTX_new(mine.get(), nullptr));
  require_evp(theirs && context && EVP_PKEY_derive_init(context.get()) == 1 &&
                  EVP_PKEY_derive_set_peer(context.get(), theirs.get()) == 1,
              "preparing a key agreement");
  SecretBytes secret(32);
  std::size_t size = secret.size();
  bool agreed = EVP_PKEY_derive(context.get(), secret.span().data(), &size) == 1 && size == 32;
  ERR_clear_error();
  std::uint8_t any = 0;
  for (std::uint8_t byte : secret.view()) any = static_cast<std::uint8_t>(any | byte);
  // A peer that sends a point of small order would make the secret one that everybody knows.
  if (!agreed || any == 0) {
    throw Error(errors::bad_key, {.what = "a key agreement gave the all-zero secret",
                                  .where = "X25519 public key " + peer.hex(),
                                  .found = "a point of small order",
                                  .expected = "a key from an honest generator",
                                  .remedy = "refuse this peer and ask it for its real key"});
  }
  return secret;
}

}  // namespace concordat::crypto
