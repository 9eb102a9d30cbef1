#include "concordat/privacy/rounding.hpp"

#include <bit>

#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keystream.hpp"

namespace concordat::privacy {

static_assert(std::endian::native == std::endian::little,
              "rounding words are the keystream as it lies in memory");

void rounding_words(const crypto::SecretBytes& rounding_key, BlockIndex block,
                    std::span<std::uint32_t> words) {
  ByteWriter info;
  info.sized("concordat rounding block v1");
  info.u64(block.value());
  const crypto::SecretBytes key = crypto::hkdf_expand(rounding_key.view(), info.bytes(), 32);
  crypto::CtrKeystream stream(key.view());
  stream.generate({reinterpret_cast<std::uint8_t*>(words.data()), words.size_bytes()});
}

}  // namespace concordat::privacy
