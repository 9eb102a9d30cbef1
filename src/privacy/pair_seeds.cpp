#include <string>

#include "concordat/crypto/hash.hpp"
#include "concordat/privacy/errors.hpp"
#include "concordat/privacy/masks.hpp"

namespace concordat::privacy {

crypto::SecretBytes derive_pair_seed(const crypto::SecretBytes& shared_secret) {
  return crypto::hkdf_extract(as_bytes("concordat pair seed v1"), shared_secret.view());
}

void PairSeeds::add(SiteId peer, crypto::SecretBytes seed) {
  const std::string where = "peer " + std::to_string(peer.value());
  if (seed.size() != 32) {
    throw Error(errors::seeds, {.what = "a pair seed has the wrong length",
                                .where = where,
                                .found = std::to_string(seed.size()) + " bytes",
                                .expected = "32 bytes"});
  }
  if (!seeds_.emplace(peer, std::move(seed)).second) {
    throw Error(errors::seeds, {.what = "a peer has two pair seeds", .where = where});
  }
}

}  // namespace concordat::privacy
