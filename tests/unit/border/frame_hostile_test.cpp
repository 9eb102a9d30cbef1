// What a hostile network or peer can do to a block frame.
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

struct HostileFrames {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  FrameOpener opener{world.open(up.message.wire()), world.peers};
  Bytes frame(std::uint64_t at) { return upload.frame(up.frames, at); }
};

TEST(HostileFrame, EveryFlippedByteIsNoticed) {
  HostileFrames scene;
  Bytes frame = scene.frame(4);  // the weight: a short one
  for (std::size_t i = 0; i < frame.size(); ++i) {
    frame[i] ^= 1U;
    std::string code = code_of([&] { scene.opener.open(frame); });
    EXPECT_TRUE(code == "border.not_authentic" || code == "core.malformed" ||
                code == "border.no_header")
        << "byte " << i << ": " << code;
    frame[i] ^= 1U;
  }
  EXPECT_EQ(scene.opener.open(frame).bytes, scene.upload.blocks[4]);
}

TEST(HostileFrame, EveryCutIsMalformed) {
  HostileFrames scene;
  Bytes frame = scene.frame(4);
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_EQ(code_of([&] { scene.opener.open(ByteView(frame).first(size)); }), "core.malformed");
  }
}

TEST(HostileFrame, NothingButAnAnnouncementOpensFrames) {
  World world;
  OpenedMessage cosign =
      world.open(world.seal(world.header(MessageType::cosign), as_bytes("x")).wire());
  EXPECT_EQ(code_of([&] { FrameOpener opener(cosign, world.peers); }), "border.no_header");
}

TEST(HostileFrame, AFrameOfAnotherSenderHasNoHeader) {
  HostileFrames scene;
  Announcement of_brio =
      scene.upload.announce(scene.world, scene.world.header(MessageType::header, brio));
  Bytes frame = scene.upload.frame(of_brio.frames, 0);
  EXPECT_EQ(code_of([&] { scene.opener.open(frame); }), "border.no_header");
}

TEST(HostileFrame, AFrameDoesNotMoveToAnotherExchange) {
  HostileFrames scene;
  Header next = scene.world.header(MessageType::header);
  next.exchange.round = Round{4};
  Announcement later = scene.upload.announce(scene.world, next);  // same key, same blocks
  FrameOpener opener(scene.world.open(later.message.wire()), scene.world.peers);
  Bytes frame = scene.frame(0);
  EXPECT_EQ(code_of([&] { opener.open(frame); }), "border.no_header");
  frame[8] = 4;  // say that it belongs there
  EXPECT_EQ(code_of([&] { opener.open(frame); }), "border.not_authentic");
}

TEST(HostileFrame, EveryFieldOfTheAnnouncementBindsTheFrame) {
  HostileFrames scene;
  const OpenedMessage right = scene.world.open(scene.up.message.wire());
  Bytes frame = scene.frame(0);
  auto code_with = [&](auto&& change) {
    OpenedMessage other = right;
    change(other.header);
    FrameOpener opener(other, scene.world.peers);
    return code_of([&] { opener.open(frame); });
  };
  EXPECT_EQ(code_with([](Header&) {}), "nothing");
  EXPECT_EQ(code_with([](Header& h) { h.federation = World::digest_of(1); }),
            "border.not_authentic");
  EXPECT_EQ(code_with([](Header& h) { h.manifest = World::digest_of(1); }), "border.not_authentic");
  EXPECT_EQ(code_with([](Header& h) { h.recipient = brio; }), "border.not_authentic");
  EXPECT_EQ(code_with([](Header& h) { h.sender = brio; }), "border.no_header");
  EXPECT_EQ(code_with([](Header& h) { h.exchange.attempt = Attempt{1}; }), "border.no_header");
}

TEST(HostileFrame, AFrameDoesNotMoveToAnotherManifest) {
  HostileFrames scene;
  Header other = scene.world.header(MessageType::header);
  other.manifest = World::digest_of(1);
  Announcement announced = scene.upload.announce(scene.world, other);
  FrameOpener opener(scene.world.open(announced.message.wire()), scene.world.peers);
  EXPECT_EQ(code_of([&] { opener.open(scene.frame(0)); }), "border.not_authentic");
}

TEST(HostileFrame, AnUploadIsNoAggregate) {
  HostileFrames scene;
  Bytes frame = scene.frame(0);
  frame[5] = 11;
  EXPECT_EQ(code_of([&] { scene.opener.open(frame); }), "border.no_header");
}

TEST(HostileFrame, BlocksDoNotChangePlaces) {
  HostileFrames scene;
  Bytes frame = scene.frame(1);
  frame[52] = 2;  // index 1 becomes 2
  EXPECT_EQ(code_of([&] { scene.opener.open(frame); }), "border.not_authentic");
}

// A sender that holds the key and changes a block after signing: AES-GCM is content, the path not.
TEST(HostileFrame, AuthenticityComesFromTheSignedRootAlone) {
  HostileFrames scene;
  Upload other(1000, 256, 2);  // other bytes, other root, same key
  Announcement announced = other.announce(scene.world, scene.world.header(MessageType::header));
  Bytes frame = other.frame(announced.frames, 0);
  EXPECT_EQ(code_of([&] { scene.opener.open(frame); }), "border.not_authentic");
}

TEST(HostileFrame, AFrameOfTheWrongLengthIsMalformed) {
  HostileFrames scene;
  Upload longer(1001, 256);  // the last block of `update` has one lane more
  Announcement announced = longer.announce(scene.world, scene.world.header(MessageType::header));
  EXPECT_EQ(code_of([&] { scene.opener.open(longer.frame(announced.frames, 3)); }),
            "core.malformed");
}

TEST(HostileFrame, OrderAndRepetitionDoNotMatterToTheOpener) {
  HostileFrames scene;
  for (std::uint64_t at : {4U, 0U, 4U, 2U}) {
    EXPECT_EQ(scene.opener.open(scene.frame(at)).bytes, scene.upload.blocks[at]);
  }
}

}  // namespace
}  // namespace concordat::border::testing
