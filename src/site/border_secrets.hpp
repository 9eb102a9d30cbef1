// What a border keeps secret during one exchange, and what it tells the ranks of it.
//
//   BorderSecrets mine = fresh_secrets(random);
//   store.save(exchange, encode(mine).view());            // before the first public word
//   RankSecrets theirs = secrets_for_ranks(machine, mine, keys);
#pragma once

#include <optional>

#include "concordat/border/frames.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/federation/site_exchange.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

struct BorderSecrets {
  crypto::OpeningKey mask;                    ///< fresh; pair masks
  crypto::OpeningKey share;                   ///< fresh; reserved for shares
  std::optional<border::FrameKey> upload;     ///< of our header's frames
  std::optional<border::FrameKey> aggregate;  ///< of the aggregate's frames
};

BorderSecrets fresh_secrets(crypto::SecureRandom& random);
crypto::SecretBytes encode(const BorderSecrets& secrets);
/// @throws Error(malformed).
BorderSecrets decode_border_secrets(ByteView plain);

/// HKDF of the site's rounding secret over federation, round and fragment: 32 bytes.
crypto::SecretBytes rounding_key(const crypto::SiteKeys& keys, const Digest& federation,
                                 const ExchangeId& exchange);

/// Pair seeds with every other participant, and the rounding key. @pre phase going or later.
RankSecrets secrets_for_ranks(const federation::SiteExchange& machine, const BorderSecrets& mine,
                              const crypto::SiteKeys& keys);
/// After COMMIT: no seeds.
RankSecrets secrets_after_commit(const Digest& federation, const ExchangeId& exchange,
                                 const Digest& manifest, SiteId own,
                                 std::vector<SiteId> participants, const crypto::SiteKeys& keys);

}  // namespace concordat::site
