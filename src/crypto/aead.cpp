#include "concordat/crypto/aead.hpp"

#include <algorithm>

#include "concordat/crypto/secret_bytes.hpp"
#include "crypto/evp.hpp"

namespace concordat::crypto {
namespace {

const EVP_CIPHER* aes_256_gcm() {
  static const EVP_CIPHER* method = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  require_evp(method != nullptr, "finding AES-256-GCM");
  return method;
}

Cipher start(ByteView key, const Nonce& nonce, ByteView associated, bool sealing) {
  CONCORDAT_REQUIRE(key.size() == aead_key_bytes, std::to_string(key.size()));
  Cipher context(EVP_CIPHER_CTX_new());
  require_evp(context && EVP_CipherInit_ex2(context.get(), aes_256_gcm(), key.data(), nonce.data(),
                                            sealing ? 1 : 0, nullptr) == 1,
              "starting AES-GCM");
  int done = 0;
  require_evp(
      associated.empty() || EVP_CipherUpdate(context.get(), nullptr, &done, associated.data(),
                                             int_of(associated.size())) == 1,
      "hashing associated data");
  return context;
}

void crypt(EVP_CIPHER_CTX* context, ByteView in, std::uint8_t* out) {
  int done = 0;
  require_evp(
      in.empty() || (EVP_CipherUpdate(context, out, &done, in.data(), int_of(in.size())) == 1 &&
                     static_cast<std::size_t>(done) == in.size()),
      "running AES-GCM");
}

}  // namespace

void aead_seal_into(ByteView key, const Nonce& nonce, ByteView associated, ByteView plain,
                    ByteSpan out) {
  CONCORDAT_REQUIRE(out.size() == plain.size() + aead_tag_bytes, std::to_string(out.size()));
  Cipher context = start(key, nonce, associated, true);
  crypt(context.get(), plain, out.data());
  int done = 0;
  std::uint8_t* tag = out.data() + plain.size();
  require_evp(
      EVP_CipherFinal_ex(context.get(), tag, &done) == 1 &&
          EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, aead_tag_bytes, tag) == 1,
      "finishing AES-GCM");
}

void aead_open_into(ByteView key, const Nonce& nonce, ByteView associated, ByteView sealed,
                    ByteSpan out) {
  CONCORDAT_REQUIRE(out.size() + aead_tag_bytes == sealed.size(), std::to_string(out.size()));
  std::array<std::uint8_t, aead_tag_bytes> tag{};
  std::copy_n(sealed.end() - aead_tag_bytes, aead_tag_bytes, tag.begin());
  Cipher context = start(key, nonce, associated, false);
  crypt(context.get(), sealed.first(out.size()), out.data());
  int done = 0;
  std::uint8_t nothing[16];
  bool good =
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, aead_tag_bytes, tag.data()) == 1 &&
      EVP_CipherFinal_ex(context.get(), nothing, &done) == 1;
  ERR_clear_error();
  if (good) return;
  cleanse(out);
  throw Error(errors::open_failed, {.what = "a sealed text does not open",
                                    .where = std::to_string(sealed.size()) + " sealed bytes",
                                    .found = "a wrong authentication tag",
                                    .expected = "the key, nonce and associated data of the sealer",
                                    .remedy = "check that key and text belong together"});
}

Bytes aead_seal(ByteView key, const Nonce& nonce, ByteView associated, ByteView plain) {
  Bytes out(plain.size() + aead_tag_bytes);
  aead_seal_into(key, nonce, associated, plain, out);
  return out;
}

Bytes aead_open(ByteView key, const Nonce& nonce, ByteView associated, ByteView sealed) {
  if (sealed.size() < aead_tag_bytes) {
    throw Error(errors::open_failed, {.what = "a sealed text is shorter than its tag",
                                      .where = "AES-256-GCM",
                                      .found = std::to_string(sealed.size()) + " bytes",
                                      .expected = "at least 16",
                                      .remedy = "fetch it again: it was cut"});
  }
  Bytes out(sealed.size() - aead_tag_bytes);
  aead_open_into(key, nonce, associated, sealed, out);
  return out;
}

Nonce nonce_of(std::uint64_t index, std::uint32_t domain) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[i] = static_cast<std::uint8_t>(index >> (8 * i));
  for (std::size_t i = 0; i < 4; ++i) nonce[8 + i] = static_cast<std::uint8_t>(domain >> (8 * i));
  return nonce;
}

}  // namespace concordat::crypto
