// What the border seals to the ranks: a bounded binary body inside HPKE.
#include "concordat/core/error.hpp"
#include "concordat/crypto/hpke.hpp"
#include "concordat/crypto/random.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

namespace {

constexpr std::uint32_t version = 1;

Bytes info_of(const ExchangeId& exchange, std::string_view nonce) {
  ByteWriter info;
  info.sized("concordat rank secrets v1");
  info.u32(exchange.round.value());
  info.u32(exchange.fragment.value());
  info.u32(exchange.attempt.value());
  info.sized(nonce);
  return std::move(info).bytes();
}

}  // namespace

std::string make_nonce(crypto::SecureRandom& random) {
  Bytes bytes(16);
  random.fill(bytes);
  return to_hex(bytes);
}

crypto::SecretBytes encode_secrets(const RankSecrets& secrets) {
  crypto::SecretWriter out(4 + 32 + 32 + 4 + 4 + 4 * secrets.participants.size() + 4 +
                           36 * secrets.seeds.size() + 32);
  out.u32(version);
  out.raw(secrets.federation.view());
  out.raw(secrets.manifest.view());
  out.u32(secrets.own.value());
  out.u32(static_cast<std::uint32_t>(secrets.participants.size()));
  for (const SiteId site : secrets.participants) out.u32(site.value());
  out.u32(static_cast<std::uint32_t>(secrets.seeds.size()));
  for (const auto& [peer, seed] : secrets.seeds.by_peer()) {
    out.u32(peer.value());
    out.raw(seed.view());
  }
  out.raw(secrets.rounding_key.view());
  return std::move(out).finish();
}

RankSecrets decode_secrets(ByteView plain) {
  ByteReader in(plain, "rank secrets");
  RankSecrets secrets;
  const std::uint32_t found = in.u32();
  if (found != version) {
    throw Error(concordat::errors::malformed, {.what = "rank secrets of another version",
                                               .where = "rank secrets",
                                               .found = std::to_string(found),
                                               .expected = std::to_string(version),
                                               .remedy = "border and ranks are to be one program"});
  }
  secrets.federation = in.digest();
  secrets.manifest = in.digest();
  secrets.own = SiteId{in.u32()};
  const std::uint32_t num_participants = in.count(exact::max_sites);
  for (std::uint32_t i = 0; i < num_participants; ++i) {
    secrets.participants.push_back(SiteId{in.u32()});
  }
  const std::uint32_t num_seeds = in.count(exact::max_sites);
  for (std::uint32_t i = 0; i < num_seeds; ++i) {
    const SiteId peer{in.u32()};
    secrets.seeds.add(peer, crypto::SecretBytes::copy_of(in.raw(32)));
  }
  secrets.rounding_key = crypto::SecretBytes::copy_of(in.raw(32));
  in.finish();
  return secrets;
}

Bytes seal_secrets(const ExchangeId& exchange, std::string_view nonce, const crypto::SealKey& key,
                   const RankSecrets& secrets, crypto::SecureRandom& random) {
  CONCORDAT_REQUIRE(secrets.rounding_key.size() == 32,
                    std::to_string(secrets.rounding_key.size()) + " bytes");
  const crypto::SecretBytes plain = encode_secrets(secrets);
  return crypto::hpke_seal(key, info_of(exchange, nonce), {}, plain.view(), random);
}

RankSecrets open_secrets(const ExchangeId& exchange, std::string_view nonce,
                         const crypto::OpeningKey& key, ByteView sealed) {
  return decode_secrets(crypto::hpke_open_secret(key, info_of(exchange, nonce), {}, sealed).view());
}

}  // namespace concordat::site
