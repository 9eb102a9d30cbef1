// Stochastic rounding from the site's secret: the same words when a round is computed again, and
// words that nobody outside the site can know.
//
//   rounding_words(key, BlockIndex{7}, words);         // one word per element of the block
//
// The key is HKDF(site secret, federation, round, fragment): the border derives it and seals it to
// the ranks. It does not depend on the attempt: one update is rounded in one way.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "concordat/core/ids.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::privacy {

/// Overwrites `words` with the block's keystream, 32 bits per element from its first element on.
void rounding_words(const crypto::SecretBytes& rounding_key, BlockIndex block,
                    std::span<std::uint32_t> words);

}  // namespace concordat::privacy
