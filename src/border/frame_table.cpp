// FrameTable: shapes, positions, sizes and their codec.
#include "border/frame_wire.hpp"
#include "concordat/border/frames.hpp"
#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::border {
namespace {

constexpr std::size_t max_rest_bytes = 64U << 10U;

[[noreturn]] void malformed(std::string what, std::string found, std::string expected) {
  throw Error(errors::malformed, {.what = std::move(what),
                                  .where = "table of block frames",
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "refuse the upload; its sender is at fault"});
}

// All the path entries of a tree together. At each level a lone last node has no sibling, so the
// leaves under it have one entry less.
std::uint64_t all_path_entries(std::uint64_t num_leaves) {
  std::uint64_t entries = 0;
  unsigned level = 0;
  for (std::uint64_t nodes = num_leaves; nodes > 1; nodes = (nodes + 1) / 2, ++level) {
    std::uint64_t lone = nodes % 2 == 1 ? num_leaves - ((nodes - 1) << level) : 0;
    entries += num_leaves - lone;
  }
  return entries;
}

}  // namespace

std::uint64_t path_entries(std::uint64_t position, std::uint64_t num_leaves) {
  std::uint64_t entries = 0;
  for (std::uint64_t nodes = num_leaves; nodes > 1; nodes = (nodes + 1) / 2) {
    if ((position ^ 1U) < nodes) ++entries;
    position /= 2;
  }
  return entries;
}

std::string_view name_of(BlockVector vector) {
  switch (vector) {
    case BlockVector::update:
      return "update";
    case BlockVector::weight:
      return "weight";
    case BlockVector::tag:
      return "tag";
  }
  return "unknown";
}

std::string BlockPlace::text() const {
  return std::string(name_of(vector)) + " block " + std::to_string(index);
}

Digest block_leaf(const BlockPlace& place, ByteView bytes) {
  ByteWriter prefix;
  prefix.u8(0);  // the leaf prefix of RFC 6962
  prefix.raw(place_bytes(place));
  crypto::Sha256 hash;
  hash.update(prefix.bytes());
  hash.update(bytes);
  return hash.finish();
}

VectorShape VectorShape::of(std::uint64_t lanes, std::uint64_t lanes_per_block,
                            std::uint32_t lane_bytes) {
  CONCORDAT_REQUIRE(lanes > 0 && lanes_per_block > 0 && lane_bytes > 0, std::to_string(lanes));
  CONCORDAT_REQUIRE(lanes_per_block <= max_block_bytes / lane_bytes,
                    std::to_string(lanes_per_block));
  VectorShape shape;
  shape.num_blocks = (lanes + lanes_per_block - 1) / lanes_per_block;
  std::uint64_t last = lanes - (shape.num_blocks - 1) * lanes_per_block;
  shape.last_block_bytes = static_cast<std::uint32_t>(last * lane_bytes);
  shape.block_bytes = shape.num_blocks == 1
                          ? shape.last_block_bytes
                          : static_cast<std::uint32_t>(lanes_per_block * lane_bytes);
  return shape;
}

std::uint64_t FrameTable::num_leaves() const {
  std::uint64_t leaves = 0;
  for (const VectorShape& shape : vectors) leaves += shape.num_blocks;
  return leaves;
}

std::uint64_t FrameTable::position(const BlockPlace& place) const {
  auto vector = static_cast<std::size_t>(place.vector);
  if (vector >= vectors.size() || place.index >= vectors[vector].num_blocks) {
    malformed("a block that the announcement does not list", place.text(),
              std::to_string(num_leaves()) + " blocks");
  }
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < vector; ++i) before += vectors[i].num_blocks;
  return before + place.index;
}

BlockPlace FrameTable::place(std::uint64_t position) const {
  std::uint64_t left = position;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (left < vectors[i].num_blocks) return {static_cast<BlockVector>(i), left};
    left -= vectors[i].num_blocks;
  }
  throw Bug("position " + std::to_string(position) + " is beyond the table's leaves");
}

std::uint32_t FrameTable::block_bytes(const BlockPlace& place) const {
  position(place);
  const VectorShape& shape = vectors[static_cast<std::size_t>(place.vector)];
  return place.index + 1 == shape.num_blocks ? shape.last_block_bytes : shape.block_bytes;
}

std::uint64_t FrameTable::frame_bytes(const BlockPlace& place) const {
  return frame_fixed_bytes + 32 * path_entries(position(place), num_leaves()) + block_bytes(place) +
         crypto::aead_tag_bytes;
}

std::uint64_t FrameTable::all_frame_bytes() const {
  std::uint64_t bytes = 32 * all_path_entries(num_leaves()) +
                        num_leaves() * (frame_fixed_bytes + crypto::aead_tag_bytes);
  for (const VectorShape& shape : vectors) {
    if (shape.num_blocks == 0) continue;
    bytes += (shape.num_blocks - 1) * shape.block_bytes + shape.last_block_bytes;
  }
  return bytes;
}

void FrameTable::encode(ByteWriter& out) const {
  for (const VectorShape& shape : vectors) {
    out.u64(shape.num_blocks);
    out.u32(shape.block_bytes);
    out.u32(shape.last_block_bytes);
  }
  out.digest(root);
}

FrameTable FrameTable::decode(ByteReader& in) {
  FrameTable table;
  for (VectorShape& shape : table.vectors) {
    shape.num_blocks = in.u64();
    shape.block_bytes = in.u32();
    shape.last_block_bytes = in.u32();
    bool empty = shape == VectorShape{};
    bool sound = shape.num_blocks >= 1 && shape.num_blocks <= max_num_blocks &&
                 shape.block_bytes <= max_block_bytes && shape.last_block_bytes >= 1 &&
                 shape.last_block_bytes <= shape.block_bytes &&
                 (shape.num_blocks > 1 || shape.last_block_bytes == shape.block_bytes);
    if (!empty && !sound) {
      malformed("an impossible shape",
                std::to_string(shape.num_blocks) + " blocks of " +
                    std::to_string(shape.block_bytes) + ", the last of " +
                    std::to_string(shape.last_block_bytes) + " bytes",
                "1 to 2^32 blocks of 1 to " + std::to_string(max_block_bytes) + " bytes");
    }
  }
  table.root = in.digest();
  if (table.num_leaves() == 0) malformed("no blocks at all", "0", "at least 1");
  return table;
}

FrameKey FrameKey::from(ByteView bytes) {
  CONCORDAT_REQUIRE(bytes.size() == 32, std::to_string(bytes.size()));
  return FrameKey(crypto::SecretBytes::copy_of(bytes));
}

crypto::SecretBytes encode(const FrameHeader& header) {
  CONCORDAT_REQUIRE(header.rest.size() <= max_rest_bytes, std::to_string(header.rest.size()));
  ByteWriter table;
  header.table.encode(table);
  crypto::SecretWriter out(table.bytes().size() + 32 + 4 + header.rest.size());
  out.raw(table.bytes());
  out.raw(header.key.view());
  out.sized(header.rest);
  return std::move(out).finish();
}

FrameHeader decode_frame_header(ByteView body) {
  ByteReader in(body, "announcement of block frames");
  FrameTable table = FrameTable::decode(in);
  FrameKey key = FrameKey::from(in.raw(32));
  ByteView rest = in.sized(max_rest_bytes);
  in.finish();
  return {table, std::move(key), Bytes(rest.begin(), rest.end())};
}

}  // namespace concordat::border
