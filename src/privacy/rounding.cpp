#include "concordat/privacy/rounding.hpp"

#include <bit>
#include <string>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keystream.hpp"

namespace concordat::privacy {

static_assert(std::endian::native == std::endian::little,
              "rounding words are the keystream as it lies in memory");

crypto::SecretBytes derive_rounding_key(ByteView site_secret, const Digest& federation,
                                        const ExchangeId& exchange) {
  CONCORDAT_REQUIRE(site_secret.size() == 32, std::to_string(site_secret.size()) + " bytes");
  ByteWriter info;
  info.digest(federation);
  info.u32(exchange.round.value());
  info.u32(exchange.fragment.value());
  return crypto::hkdf_sha256(site_secret, as_bytes("concordat rounding key v1"), info.bytes(), 32);
}

void rounding_words(const crypto::SecretBytes& rounding_key, BlockIndex block,
                    std::span<std::uint32_t> words) {
  ByteWriter info;
  info.sized("concordat rounding v1");
  info.u64(block.value());
  const crypto::SecretBytes key = crypto::hkdf_expand(rounding_key.view(), info.bytes(), 32);
  crypto::CtrKeystream stream(key.view());
  stream.generate({reinterpret_cast<std::uint8_t*>(words.data()), words.size_bytes()});
}

}  // namespace concordat::privacy
