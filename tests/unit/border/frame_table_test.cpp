#include <random>

#include "border/frame_wire.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

TEST(FrameTable, CutsLanesIntoBlocks) {
  VectorShape shape = VectorShape::of(1000, 256, 2);
  EXPECT_EQ(shape, (VectorShape{4, 512, 464}));
  EXPECT_EQ(VectorShape::of(256, 256, 2), (VectorShape{1, 512, 512}));
  EXPECT_EQ(VectorShape::of(1, 256, 4), (VectorShape{1, 4, 4}));
}

TEST(FrameTable, PositionsAndPlacesAreInverse) {
  Upload upload;
  EXPECT_EQ(upload.table.num_leaves(), 5U);
  for (std::uint64_t at = 0; at < 5; ++at) {
    EXPECT_EQ(upload.table.position(upload.table.place(at)), at);
  }
  EXPECT_EQ(upload.table.place(4), (BlockPlace{BlockVector::weight, 0}));
  EXPECT_EQ(code_of([&] { upload.table.position({BlockVector::update, 4}); }), "core.malformed");
  EXPECT_EQ(code_of([&] { upload.table.position({BlockVector::tag, 0}); }), "core.malformed");
}

TEST(FrameTable, SizesAreThoseOfTheSealedFrames) {
  World world;
  for (std::uint64_t lanes : {1U, 300U, 1000U, 2000U, 3333U}) {
    Upload upload(lanes);
    Announcement up = upload.announce(world, world.header(MessageType::header));
    std::uint64_t all = 0;
    for (std::uint64_t at = 0; at < upload.table.num_leaves(); ++at) {
      Bytes frame = upload.frame(up.frames, at);
      EXPECT_EQ(frame.size(), upload.table.frame_bytes(upload.table.place(at)));
      all += frame.size();
    }
    EXPECT_EQ(all, upload.table.all_frame_bytes()) << lanes;
  }
}

TEST(FrameTable, CodecIsExact) {
  Upload upload;
  ByteWriter out;
  upload.table.encode(out);
  ByteReader in(out.bytes(), "test");
  EXPECT_EQ(FrameTable::decode(in), upload.table);
  in.finish();
  FrameHeader header = upload.header();
  header.rest = {1, 2, 3};
  FrameHeader again = decode_frame_header(encode(header).view());
  EXPECT_EQ(again.table, header.table);
  EXPECT_EQ(copy(again.key.view()), copy(header.key.view()));
  EXPECT_EQ(again.rest, header.rest);
}

TEST(FrameTable, ImpossibleShapesAreRefused) {
  auto code_with = [](VectorShape shape) {
    FrameTable table;
    table.vectors[0] = shape;
    ByteWriter out;
    table.encode(out);
    ByteReader in(out.bytes(), "test");
    return code_of([&] { FrameTable::decode(in); });
  };
  EXPECT_EQ(code_with({4, 512, 464}), "nothing");
  EXPECT_EQ(code_with({}), "core.malformed") << "no blocks at all";
  EXPECT_EQ(code_with({0, 512, 0}), "core.malformed");
  EXPECT_EQ(code_with({4, 512, 0}), "core.malformed");
  EXPECT_EQ(code_with({4, 512, 513}), "core.malformed");
  EXPECT_EQ(code_with({1, 512, 464}), "core.malformed");
  EXPECT_EQ(code_with({4, max_block_bytes + 1, 4}), "core.malformed");
  EXPECT_EQ(code_with({max_num_blocks + 1, 512, 4}), "core.malformed");
  EXPECT_EQ(code_with({~0ULL, 512, 4}), "core.malformed");
}

TEST(FrameTable, DecodingNoiseNeverDoesWorse) {
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    Bytes noise(random() % 200);
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(random() % 3);
    std::string code = code_of([&] { decode_frame_header(noise); });
    EXPECT_TRUE(code == "core.malformed" || code == "nothing");
    code = code_of([&] { parse_frame(noise); });
    EXPECT_EQ(code, "core.malformed");
  }
}

TEST(FrameTable, TheLeafIsTheDocumentedHash) {
  Bytes text{16, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xaa, 0xbb};
  EXPECT_EQ(block_leaf({BlockVector::weight, 3}, Bytes{0xaa, 0xbb}), crypto::merkle_leaf(text));
}

}  // namespace
}  // namespace concordat::border::testing
