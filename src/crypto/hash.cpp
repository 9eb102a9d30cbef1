#include "concordat/crypto/hash.hpp"

#include <openssl/hmac.h>

#include <algorithm>

#include "crypto/evp.hpp"

namespace concordat::crypto {
namespace {

EVP_MD_CTX* raw(void* context) { return static_cast<EVP_MD_CTX*>(context); }

// Fetched once: an implicit fetch per call costs more than hashing a Merkle node. Never freed, so
// that no static has a destructor.
const EVP_MD* sha256_method() {
  static const EVP_MD* method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  require_evp(method != nullptr, "finding SHA-256");
  return method;
}

}  // namespace

Digest sha256(ByteView bytes) { return Sha256().update(bytes).finish(); }

Sha256::Sha256() : context_(nullptr) {
  MessageDigest context(EVP_MD_CTX_new());
  require_evp(static_cast<bool>(context), "making a hash");
  require_evp(EVP_DigestInit_ex2(context.get(), sha256_method(), nullptr) == 1, "starting a hash");
  context_ = context.release();
}

Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Sha256::~Sha256() { EVP_MD_CTX_free(raw(context_)); }

Sha256& Sha256::update(ByteView bytes) {
  require_evp(EVP_DigestUpdate(raw(context_), bytes.data(), bytes.size()) == 1, "hashing");
  return *this;
}

Digest Sha256::finish() {
  Digest digest;
  require_evp(EVP_DigestFinal_ex(raw(context_), digest.bytes.data(), nullptr) == 1 &&
                  EVP_DigestInit_ex2(raw(context_), sha256_method(), nullptr) == 1,
              "finishing a hash");
  return digest;
}

Digest hmac_sha256(ByteView key, ByteView message) {
  Digest mac;
  unsigned length = 0;
  // An empty key needs a non-null pointer, else OpenSSL takes it as "keep the previous key".
  static const std::uint8_t nothing = 0;
  const void* key_data = key.empty() ? &nothing : key.data();
  require_evp(HMAC(EVP_sha256(), key_data, int_of(key.size()), message.data(), message.size(),
                   mac.bytes.data(), &length) != nullptr &&
                  length == mac.bytes.size(),
              "computing HMAC");
  return mac;
}

SecretBytes hkdf_extract(ByteView salt, ByteView key_material) {
  // HMAC pads its key with zeros, so an empty salt is the RFC's string of zeros.
  Digest key = hmac_sha256(salt, key_material);
  SecretBytes secret = SecretBytes::copy_of(key.view());
  cleanse(key.bytes);
  return secret;
}

SecretBytes hkdf_expand(ByteView pseudorandom_key, ByteView info, std::size_t length) {
  CONCORDAT_REQUIRE(length <= 255U * 32U, std::to_string(length));
  SecretBytes out(length);
  SecretBytes message(32 + info.size() + 1);
  Digest previous;
  std::size_t begin = 32;  // T(0) is empty
  std::copy(info.begin(), info.end(), message.span().begin() + 32);
  for (std::size_t at = 0, counter = 1; at < length; at += 32, ++counter) {
    message.span().back() = static_cast<std::uint8_t>(counter);
    previous = hmac_sha256(pseudorandom_key, message.view().subspan(begin));
    std::copy(previous.bytes.begin(), previous.bytes.end(), message.span().begin());
    begin = 0;
    std::size_t count = std::min<std::size_t>(32, length - at);
    std::copy_n(previous.bytes.begin(), count, out.span().begin() + static_cast<long>(at));
  }
  cleanse(previous.bytes);
  return out;
}

SecretBytes hkdf_sha256(ByteView key_material, ByteView salt, ByteView info, std::size_t length) {
  SecretBytes key = hkdf_extract(salt, key_material);
  return hkdf_expand(key.view(), info, length);
}

}  // namespace concordat::crypto
