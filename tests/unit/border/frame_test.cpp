#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

TEST(Frame, OpensToItsBlock) {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  FrameOpener opener(world.open(up.message.wire()), world.peers);
  EXPECT_EQ(opener.table(), upload.table);
  for (std::uint64_t at = 0; at < upload.table.num_leaves(); ++at) {
    OpenedBlock block = opener.open(upload.frame(up.frames, at));
    EXPECT_EQ(block.place, upload.table.place(at));
    EXPECT_EQ(block.bytes, upload.blocks[at]);
    EXPECT_EQ(block.leaf, upload.leaves[at]);
  }
}

TEST(Frame, TheAnnouncementDoesNotShowTheKey) {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  Bytes key(32, 42);
  ByteView wire = up.message.wire();
  EXPECT_EQ(std::search(wire.begin(), wire.end(), key.begin(), key.end()), wire.end());
}

TEST(Frame, OneSealedAggregateServesAllSites) {
  World world;
  Upload aggregate;
  Announcement to_alba =
      aggregate.announce(world, world.header(MessageType::aggregate, coordinator_id, alba));
  Announcement to_brio =
      aggregate.announce(world, world.header(MessageType::aggregate, coordinator_id, brio));
  Bytes frame = aggregate.frame(to_alba.frames, 2);
  EXPECT_EQ(frame, aggregate.frame(to_brio.frames, 2));
  FrameOpener at_brio(world.open(to_brio.message.wire(), brio), world.peers);
  EXPECT_EQ(at_brio.open(frame).bytes, aggregate.blocks[2]);
}

TEST(Frame, ARestartSealsTheSameBytes) {
  World world;
  Upload upload;
  Header header = world.header(MessageType::header);
  Announcement up = upload.announce(world, header);
  Announcement again = resume_announcement(world.written(world.decision(header)), up.message.wire(),
                                           upload.header(), world.identity(alba), world.peers);
  EXPECT_EQ(again.message.digest(), up.message.digest());
  EXPECT_EQ(upload.frame(again.frames, 1), upload.frame(up.frames, 1));
}

TEST(Frame, ARestartNeedsTheDecisionToo) {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  auto other = world.decision(world.header(MessageType::aggregate));
  EXPECT_EQ(code_of([&] {
              resume_announcement(world.written(other), up.message.wire(), upload.header(),
                                  world.identity(alba), world.peers);
            }),
            "border.decision_mismatch");
}

TEST(Frame, AStoredPartOpensAgain) {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  FrameOpener opener(world.open(up.message.wire()), world.peers);
  Bytes frame = upload.frame(up.frames, 3);
  Bytes stored = copy(FrameOpener::sealed_part(frame));
  EXPECT_EQ(stored.size(), upload.blocks[3].size() + 16);
  Bytes plain(upload.blocks[3].size());
  opener.open_stored(upload.table.place(3), stored, plain);
  EXPECT_EQ(plain, upload.blocks[3]);
  EXPECT_EQ(code_of([&] { opener.open_stored(upload.table.place(2), stored, plain); }),
            "border.not_authentic");
}

// A rank's file that changed on disk after COMMIT must not leave under the signature over COMMIT.
TEST(Frame, ABlockThatWasNotSignedIsNotSealed) {
  World world;
  Upload upload;
  Announcement up = upload.announce(world, world.header(MessageType::header));
  Bytes block = upload.blocks[1];
  block[5] ^= 1U;
  auto path = crypto::inclusion_path(upload.leaves, 1);
  EXPECT_EQ(code_of([&] { up.frames.seal(upload.table.place(1), block, path); }),
            "border.not_authentic");
  block.pop_back();
  EXPECT_EQ(code_of([&] { up.frames.seal(upload.table.place(1), block, path); }), "core.malformed");
}

}  // namespace
}  // namespace concordat::border::testing
