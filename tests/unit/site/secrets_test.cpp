#include <gtest/gtest.h>

#include "concordat/crypto/random.hpp"
#include "site/border_secrets.hpp"
#include "support/freed_secrets.hpp"

namespace concordat::site {
namespace {

using testing_support::FreedSecrets;

Bytes copy(ByteView view) { return Bytes(view.begin(), view.end()); }

TEST(Secrets, TheBordersComeBack) {
  for (bool with_keys : {false, true}) {
    BorderSecrets mine = fresh_secrets(crypto::system_random());
    if (with_keys) {
      mine.upload = border::FrameKey::generate(crypto::system_random());
      mine.aggregate = border::FrameKey::generate(crypto::system_random());
    }
    crypto::SecretBytes plain = encode(mine);
    EXPECT_EQ(plain.size(), with_keys ? 131U : 67U);
    BorderSecrets again = decode_border_secrets(plain.view());
    EXPECT_EQ(copy(again.mask.private_bytes().view()), copy(mine.mask.private_bytes().view()));
    EXPECT_EQ(copy(again.share.private_bytes().view()), copy(mine.share.private_bytes().view()));
    ASSERT_EQ(again.upload.has_value(), with_keys);
    if (with_keys) {
      EXPECT_EQ(copy(again.upload->view()), copy(mine.upload->view()));
      EXPECT_EQ(copy(again.aggregate->view()), copy(mine.aggregate->view()));
    }
  }
}

TEST(Secrets, NoCopyOfAMaskOrFrameKeyIsFreed) {
  BorderSecrets mine = fresh_secrets(crypto::system_random());
  mine.upload = border::FrameKey::generate(crypto::system_random());
  mine.aggregate = border::FrameKey::generate(crypto::system_random());
  for (const Bytes& key : {copy(mine.mask.private_bytes().view()),
                           copy(mine.share.private_bytes().view()), copy(mine.upload->view())}) {
    FreedSecrets watch(key);
    {
      crypto::SecretBytes plain = encode(mine);
      BorderSecrets again = decode_border_secrets(plain.view());
    }
    EXPECT_EQ(watch.found(), 0U);
  }
}

TEST(Secrets, NoCopyOfASeedOrARoundingKeyIsFreed) {
  const Bytes seed(32, 0x5a);
  const Bytes rounding(32, 0xa5);
  RankSecrets secrets;
  for (std::uint32_t peer = 1; peer < 20; ++peer) {
    secrets.participants.push_back(SiteId{peer});
    secrets.seeds.add(SiteId{peer}, crypto::SecretBytes::copy_of(seed));
  }
  secrets.rounding_key = crypto::SecretBytes::copy_of(rounding);
  const ExchangeId exchange{Round{3}, {}, {}};
  auto key = crypto::OpeningKey::generate(crypto::system_random());
  for (const Bytes& needle : {seed, rounding}) {
    FreedSecrets watch(needle);
    {
      Bytes sealed =
          seal_secrets(exchange, "nonce", key.seal_key(), secrets, crypto::system_random());
      RankSecrets again = open_secrets(exchange, "nonce", key, sealed);
      EXPECT_EQ(again.seeds.size(), 19U);
    }
    EXPECT_EQ(watch.found(), 0U);
  }
}

TEST(Secrets, AWriterOfSecretsHasItsSizeAndNoOther) {
  const Bytes field(4, 7);
  crypto::SecretWriter full(4);
  full.raw(field);
  EXPECT_THROW(full.u8(1), Bug);
  EXPECT_EQ(copy(std::move(full).finish().view()), field);
  crypto::SecretWriter part(5);
  part.raw(field);
  EXPECT_THROW(std::move(part).finish(), Bug);
}

}  // namespace
}  // namespace concordat::site
