#include "concordat/privacy/masks.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/keystream.hpp"
#include "concordat/privacy/errors.hpp"

namespace concordat::privacy {

namespace {

/// Keystream is made and added in pieces of this size, so that the lanes are read from memory once
/// however many peers there are. A multiple of every lane and of the cipher's block.
constexpr std::size_t piece_bytes = 32768;

struct Mask {
  crypto::CtrKeystream stream;
  bool add;  ///< the lower roster id adds
};

std::vector<Mask> open_masks(const MaskContext& context, const PairSeeds& seeds,
                             std::string_view vector, BlockIndex block) {
  std::vector<Mask> masks;
  masks.reserve(seeds.size());
  for (const auto& [peer, seed] : seeds.by_peer()) {
    const Bytes info = mask_info(context, peer, vector, block);
    const crypto::SecretBytes key = crypto::hkdf_expand(seed.view(), info, 32);
    masks.push_back({crypto::CtrKeystream(key.view()), context.own < peer});
  }
  return masks;
}

}  // namespace

Bytes mask_info(const MaskContext& context, SiteId peer, std::string_view vector,
                BlockIndex block) {
  if (peer == context.own) {
    throw Error(errors::seeds, {.what = "a site has a pair seed with itself",
                                .where = "site " + std::to_string(peer.value())});
  }
  ByteWriter info;
  info.sized("concordat mask v1");
  info.digest(context.federation);
  info.u32(context.exchange.round.value());
  info.u32(context.exchange.fragment.value());
  info.u32(context.exchange.attempt.value());
  info.digest(context.manifest);
  info.u32(std::min(context.own, peer).value());
  info.u32(std::max(context.own, peer).value());
  info.sized(vector);
  info.u64(block.value());
  return std::move(info).bytes();
}

void mask_block(const MaskContext& context, const PairSeeds& seeds, std::string_view vector,
                BlockIndex block, exact::Lane lane, ByteSpan lanes) {
  if (seeds.size() == 0) {
    throw Error(errors::seeds, {.what = "there is no pair seed to mask with",
                                .where = "exchange " + context.exchange.text(),
                                .remedy = "an update never leaves unmasked; wait for the border's "
                                          "secrets of this exchange"});
  }
  std::vector<Mask> masks = open_masks(context, seeds, vector, block);
  std::array<std::uint8_t, piece_bytes> keystream;
  for (std::size_t begin = 0; begin < lanes.size(); begin += piece_bytes) {
    const ByteSpan piece = lanes.subspan(begin, std::min(piece_bytes, lanes.size() - begin));
    const ByteSpan key = ByteSpan(keystream).first(piece.size());
    for (Mask& mask : masks) {
      mask.stream.generate(key);
      if (mask.add) {
        exact::add_lanes(lane, piece, key);
      } else {
        exact::sub_lanes(lane, piece, key);
      }
    }
  }
  crypto::cleanse(keystream);
}

}  // namespace concordat::privacy
