#include "site/border_secrets.hpp"

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::site {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t key_bytes = 32;

std::size_t bytes_of(const std::optional<border::FrameKey>& key) { return key ? 1 + key_bytes : 1; }

void write(crypto::SecretWriter& out, const std::optional<border::FrameKey>& key) {
  out.u8(key ? 1 : 0);
  if (key) out.raw(key->view());
}

std::optional<border::FrameKey> read_frame_key(ByteReader& in) {
  if (in.u8() == 0) return std::nullopt;
  return border::FrameKey::from(in.raw(key_bytes));
}

}  // namespace

BorderSecrets fresh_secrets(crypto::SecureRandom& random) {
  return {crypto::OpeningKey::generate(random), crypto::OpeningKey::generate(random), {}, {}};
}

crypto::SecretBytes encode(const BorderSecrets& secrets) {
  crypto::SecretWriter out(1 + 2 * key_bytes + bytes_of(secrets.upload) +
                           bytes_of(secrets.aggregate));
  out.u8(version);
  out.raw(secrets.mask.private_bytes().view());
  out.raw(secrets.share.private_bytes().view());
  write(out, secrets.upload);
  write(out, secrets.aggregate);
  return std::move(out).finish();
}

BorderSecrets decode_border_secrets(ByteView plain) {
  ByteReader in(plain, "secrets of an exchange");
  if (std::uint8_t found = in.u8(); found != version) {
    throw Error(concordat::errors::malformed, {.what = "the secrets are of another version",
                                               .where = "secrets of an exchange",
                                               .found = std::to_string(found),
                                               .expected = std::to_string(version),
                                               .remedy = "use the program that wrote them"});
  }
  auto mask = crypto::OpeningKey::from_private(in.raw(key_bytes));
  auto share = crypto::OpeningKey::from_private(in.raw(key_bytes));
  auto upload = read_frame_key(in);
  auto aggregate = read_frame_key(in);
  in.finish();
  return {std::move(mask), std::move(share), std::move(upload), std::move(aggregate)};
}

crypto::SecretBytes rounding_key(const crypto::SiteKeys& keys, const Digest& federation,
                                 const ExchangeId& exchange) {
  ByteWriter info;
  info.sized("concordat rounding v1");
  info.digest(federation);
  info.u32(exchange.round.value());
  info.u32(exchange.fragment.value());
  return crypto::hkdf_sha256(keys.rounding.view(), {}, info.bytes(), key_bytes);
}

RankSecrets secrets_for_ranks(const federation::SiteExchange& machine, const BorderSecrets& mine,
                              const crypto::SiteKeys& keys) {
  const federation::Manifest& manifest = machine.manifest();
  RankSecrets secrets =
      secrets_after_commit(manifest.federation, manifest.exchange, machine.manifest_digest(),
                           machine.own(), manifest.sites(), keys);
  for (const federation::Participant& peer : manifest.participants) {
    if (peer.site == machine.own()) continue;
    secrets.seeds.add(peer.site,
                      privacy::derive_pair_seed(mine.mask.shared_secret(peer.ready.mask)));
  }
  return secrets;
}

RankSecrets secrets_after_commit(const Digest& federation, const ExchangeId& exchange,
                                 const Digest& manifest, SiteId own,
                                 std::vector<SiteId> participants, const crypto::SiteKeys& keys) {
  RankSecrets secrets;
  secrets.federation = federation;
  secrets.manifest = manifest;
  secrets.own = own;
  secrets.participants = std::move(participants);
  secrets.rounding_key = rounding_key(keys, federation, exchange);
  return secrets;
}

}  // namespace concordat::site
