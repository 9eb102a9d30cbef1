#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

TEST(Message, OpensToItsHeaderAndBody) {
  World world;
  Header header = world.header(MessageType::cosign);
  header.index = 5;
  Envelope envelope = world.seal(header, as_bytes("body"));
  OpenedMessage message = world.open(envelope.wire());
  EXPECT_EQ(message.header, header);
  EXPECT_EQ(to_string(message.body), "body");
  EXPECT_EQ(message.digest, envelope.digest());
  EXPECT_EQ(envelope.wire().size(), sealed_message_bytes(4));
}

TEST(Message, TheBodyIsNotInTheWire) {
  World world;
  std::string secret = "a text that must not be seen";
  Envelope envelope = world.seal(world.header(MessageType::ready), as_bytes(secret));
  EXPECT_EQ(to_string(envelope.wire()).find(secret.substr(0, 8)), std::string::npos);
}

TEST(Message, EmptyAndLargestBodiesCross) {
  World world;
  for (std::size_t size : {std::size_t{0}, max_body_bytes}) {
    Envelope envelope = world.seal(world.header(MessageType::ready), Bytes(size, 7));
    EXPECT_EQ(world.open(envelope.wire()).body.size(), size);
    EXPECT_LE(envelope.wire().size(), max_message_wire_bytes());
  }
}

TEST(Message, ABodyBeyondTheBoundIsRefused) {
  World world;
  EXPECT_EQ(
      code_of([&] { world.seal(world.header(MessageType::ready), Bytes(max_body_bytes + 1)); }),
      "core.malformed");
}

TEST(Message, SealingTwiceGivesTwoWires) {
  World world;
  Header header = world.header(MessageType::ready);
  EXPECT_NE(world.seal(header, as_bytes("x")).digest(), world.seal(header, as_bytes("x")).digest());
}

TEST(Message, JournalledBytesBecomeTheSameEnvelope) {
  World world;
  Envelope envelope = world.seal(world.header(MessageType::ready), as_bytes("x"));
  Envelope again = restore_message(envelope.wire(), world.identity(alba), world.peers);
  EXPECT_EQ(again.digest(), envelope.digest());
}

TEST(Message, NobodyRestoresAMessageOfAnother) {
  World world;
  Envelope envelope = world.seal(world.header(MessageType::ready), as_bytes("x"));
  EXPECT_EQ(code_of([&] { restore_message(envelope.wire(), world.identity(brio), world.peers); }),
            "border.not_authentic");
  Bytes changed = copy(envelope.wire());
  changed.back() ^= 1U;
  EXPECT_EQ(code_of([&] { restore_message(changed, world.identity(alba), world.peers); }),
            "border.not_authentic");
}

TEST(Message, TheClaimIsReadableBeforeAnythingIsChecked) {
  World world;
  Envelope envelope = world.seal(world.header(MessageType::received), as_bytes("x"));
  Claim claim = read_claim(envelope.wire());
  EXPECT_EQ(claim.exchange, world.header(MessageType::received).exchange);
  EXPECT_EQ(claim.type, MessageType::received);
}

TEST(Message, AnybodyVerifiesWithoutOpening) {
  World world;
  Header header = world.header(MessageType::agree, brio);
  Envelope envelope = world.seal(header, as_bytes("x"));
  EXPECT_EQ(verify_message(envelope.wire(), world.peers), header);
}

TEST(Message, FrameAnnouncementsAreNotSealedAsPlainMessages) {
  World world;
  EXPECT_THROW(world.seal(world.header(MessageType::header), as_bytes("x")), Bug);
}

TEST(Message, NumbersThatAreNoMessageHaveNoType) {
  EXPECT_FALSE(message_type_from(0));
  EXPECT_FALSE(message_type_from(5));
  EXPECT_FALSE(message_type_from(15));
  EXPECT_FALSE(message_type_from(16));
  EXPECT_EQ(message_type_from(13), MessageType::closed);
}

TEST(Peers, AKeyBelongsToOnePeer) {
  World world;
  Peer twin = world.peers.at(alba);
  EXPECT_EQ(code_of([&] { world.peers.add(SiteId{9}, twin); }), "border.unknown_peer");
  EXPECT_EQ(code_of([&] { world.peers.at(SiteId{9}); }), "border.unknown_peer");
  EXPECT_EQ(world.peers.sites(), (std::vector<SiteId>{alba, brio, cala}));
}

}  // namespace
}  // namespace concordat::border::testing
