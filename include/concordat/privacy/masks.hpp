// Pair masks: what makes an uploaded block look random until all uploads are added.
//
// Two sites share a seed from their fresh keys of the exchange. For every block each pair expands
// its seed to an AES-CTR keystream read as lanes; the lower roster id adds it, the higher subtracts
// it, so the sum over all participants is the sum of the plaintexts.
//
//   PairSeeds seeds;
//   seeds.add(peer, derive_pair_seed(own_mask_key.shared_secret(peer_key)));
//   MaskContext context{federation, exchange, manifest, own};
//   mask_block(context, seeds, "update", BlockIndex{7}, exact::Lane::u16, codes);
//
// A mask is used once: the caller masks a given (exchange, vector, block) at most once in its life
// (the commit rule of the run folder), because two uploads under one mask reveal their difference.
// Threads: mask_block is const on its arguments and may run for different blocks at once.
#pragma once

#include <map>
#include <string_view>

#include "concordat/core/ids.hpp"
#include "concordat/crypto/secret_bytes.hpp"
#include "concordat/exact/lanes.hpp"

namespace concordat::privacy {

inline constexpr std::string_view update_vector = "update";
inline constexpr std::string_view weight_vector = "weight";
inline constexpr std::string_view tag_vector = "tag";

/// What a mask is bound to besides pair, vector and block.
struct MaskContext {
  Digest federation{};
  ExchangeId exchange{};
  Digest manifest{};
  SiteId own{};
};

/// HKDF-Extract of an X25519 secret of the exchange: 32 bytes, the same at both ends.
crypto::SecretBytes derive_pair_seed(const crypto::SecretBytes& shared_secret);

/// The pair seeds of one site in one exchange, by peer. Move-only: seeds are never copied.
class PairSeeds {
 public:
  /// @throws Error(privacy.seeds) for a second seed of one peer or a length other than 32.
  void add(SiteId peer, crypto::SecretBytes seed);
  const std::map<SiteId, crypto::SecretBytes>& by_peer() const { return seeds_; }
  std::size_t size() const { return seeds_.size(); }

 private:
  std::map<SiteId, crypto::SecretBytes> seeds_;
};

/// HKDF info of one keystream: domain, federation, exchange, manifest, ordered pair, vector, block.
Bytes mask_info(const MaskContext& context, SiteId peer, std::string_view vector, BlockIndex block);

/// Adds or subtracts every pair's keystream, in place. Cost: one pass of AES-256-CTR per peer over
/// cache-sized pieces. @throws Error(privacy.seeds) if there is no peer or a peer is the site
/// itself.
void mask_block(const MaskContext& context, const PairSeeds& seeds, std::string_view vector,
                BlockIndex block, exact::Lane lane, ByteSpan lanes);

}  // namespace concordat::privacy
