#include "concordat/crypto/keystream.hpp"

#include <algorithm>
#include <cstring>

#include "crypto/evp.hpp"

namespace concordat::crypto {
namespace {

EVP_CIPHER_CTX* raw(void* context) { return static_cast<EVP_CIPHER_CTX*>(context); }

const EVP_CIPHER* aes_256_ctr() {
  static const EVP_CIPHER* method = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  require_evp(method != nullptr, "finding AES-256-CTR");
  return method;
}

}  // namespace

CtrKeystream::CtrKeystream(ByteView key) : context_(nullptr) {
  CONCORDAT_REQUIRE(key.size() == 32, std::to_string(key.size()));
  const std::uint8_t counter[16] = {};
  Cipher context(EVP_CIPHER_CTX_new());
  require_evp(context && EVP_EncryptInit_ex2(context.get(), aes_256_ctr(), key.data(), counter,
                                             nullptr) == 1,
              "starting AES-CTR");
  context_ = context.release();
}

CtrKeystream::CtrKeystream(CtrKeystream&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

CtrKeystream& CtrKeystream::operator=(CtrKeystream&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

CtrKeystream::~CtrKeystream() { EVP_CIPHER_CTX_free(raw(context_)); }

void CtrKeystream::generate(ByteSpan out) {
  // The stream is the encryption of zeros, in place; pieces stay below EVP's int lengths.
  while (!out.empty()) {
    ByteSpan piece = out.first(std::min<std::size_t>(out.size(), 1U << 20U));
    std::memset(piece.data(), 0, piece.size());
    int done = 0;
    require_evp(EVP_EncryptUpdate(raw(context_), piece.data(), &done, piece.data(),
                                  int_of(piece.size())) == 1,
                "running AES-CTR");
    out = out.subspan(piece.size());
  }
}

}  // namespace concordat::crypto
