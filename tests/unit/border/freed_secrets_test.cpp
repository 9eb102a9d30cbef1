#include "support/freed_secrets.hpp"

#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

using testing_support::FreedSecrets;

TEST(FreedSecrets, TheWatchSeesAGrowingBuffer) {
  const Bytes key(32, 42);
  FreedSecrets watch(key);
  {
    ByteWriter out;
    for (int i = 0; i < 16; ++i) out.raw(key);
  }
  EXPECT_GT(watch.found(), 1U) << "or the tests below see nothing";
}

TEST(FreedSecrets, AFrameKeyLeavesNoCopyAtTheSender) {
  World world;
  Upload upload;
  const Header header = world.header(MessageType::header);
  auto written = world.written(world.decision(header));
  const Bytes key = copy(upload.header().key.view());
  FreedSecrets watch(key);
  {
    Announcement up = seal_announcement(std::move(written), header, upload.header(),
                                        world.identity(alba), world.peers, crypto::system_random());
    crypto::SecretBytes body = encode(upload.header());
  }
  // The fixture makes its keys from a vector of these bytes, once for each header().
  EXPECT_EQ(watch.found(), 2U);
}

TEST(FreedSecrets, AnOpenedMessageOverwritesItsBody) {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  const Bytes key = copy(upload.header().key.view());
  FreedSecrets watch(key);
  {
    OpenedMessage message = world.open(up.message.wire());
    OpenedMessage other = message;
    message = other;
    FrameOpener opener(message, world.peers);
  }
  EXPECT_EQ(watch.found(), 0U);
}

}  // namespace
}  // namespace concordat::border::testing
