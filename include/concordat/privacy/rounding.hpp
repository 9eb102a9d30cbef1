// Stochastic rounding from the site's secret: the same words when a round is computed again, and
// words that nobody outside the site can know.
//
//   SecretBytes key = derive_rounding_key(site_keys.rounding.view(), federation, exchange);
//   rounding_words(key, BlockIndex{7}, words);         // one word per element of the block
//
// The key depends on round and fragment and not on the attempt: one update is rounded in one way.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "concordat/core/ids.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::privacy {

/// HKDF(site secret, federation, round, fragment). @pre 32 bytes. @return 32 bytes.
crypto::SecretBytes derive_rounding_key(ByteView site_secret, const Digest& federation,
                                        const ExchangeId& exchange);

/// Overwrites `words` with the block's keystream, 32 bits per element from its first element on.
void rounding_words(const crypto::SecretBytes& rounding_key, BlockIndex block,
                    std::span<std::uint32_t> words);

}  // namespace concordat::privacy
