// What a donor sends is held against what the participants cosigned, leaf by leaf.
#include "site/donated_state.hpp"

#include <gtest/gtest.h>

#include "concordat/crypto/merkle.hpp"
#include "concordat/site/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::site {
namespace {

/// 2500 elements in blocks of 1024, one moment: blocks of 4096, 4096 and 1808 bytes.
const StateShape shape{.num_elements = 2500, .block_log2 = 10, .moments = 1, .lane_bytes = 2};

Bytes block(std::uint32_t position, std::uint64_t size) {
  return Bytes(size, static_cast<std::uint8_t>(position));
}

struct Given {
  StateContents contents;
  ClosedExchange closed;
};

Given honest() {
  Given given;
  given.contents.scales = {1, 2, 1};
  given.contents.leaves.resize(3);
  given.contents.total_weight = 77;
  for (std::uint32_t p = 1; p < shape.num_messages(); ++p) {
    const auto [vector, index] = shape.piece(p);
    const Bytes bytes = block(p, piece_bytes(given.contents, shape, p));
    if (vector == 3) {
      given.contents.sums.push_back(
          border::block_leaf({border::BlockVector::update, index}, bytes));
    } else {
      given.contents.leaves[vector].push_back(
          parallel::state_leaf(shape.vectors()[vector], static_cast<std::int64_t>(index), bytes));
    }
  }
  std::vector<parallel::VectorLeaves> vectors;
  for (std::size_t i = 0; i < 3; ++i) {
    vectors.push_back({shape.vectors()[i], given.contents.leaves[i]});
  }
  given.closed.exchange = {Round{4}, {}, {}};
  given.closed.state = parallel::state_root(Round{4}, 2500, 10, vectors);
  given.closed.total_weight = 77;
  crypto::MerkleBuilder tree;
  for (const Digest& leaf : given.contents.sums) tree.add(leaf);
  ByteWriter lane;
  lane.u32(77);
  tree.add(border::block_leaf({border::BlockVector::weight, 0}, lane.bytes()));
  given.closed.aggregate = tree.root();
  return given;
}

TEST(DonatedState, HasAMessageForItsContentsAndOneForEachBlock) {
  EXPECT_EQ(shape.num_messages(), 1U + 4 * 3);
  EXPECT_EQ(shape.vectors(), (std::vector<std::string>{"model", "m", "scales"}));
  const StateShape plain{.num_elements = 10, .block_log2 = 10, .moments = 0, .lane_bytes = 1};
  EXPECT_EQ(plain.num_messages(), 1U + 3);
  const StateShape adam{.num_elements = 1025, .block_log2 = 10, .moments = 2, .lane_bytes = 1};
  EXPECT_EQ(adam.num_messages(), 1U + 5 * 2);
}

TEST(DonatedState, WhatWasCosignedIsTaken) {
  const Given given = honest();
  const StateContents read = decode_contents(encode(given.contents), shape);
  check_contents(read, shape, given.closed);
  for (std::uint32_t p = 1; p < shape.num_messages(); ++p) {
    check_piece(read, shape, p, block(p, piece_bytes(read, shape, p)));
  }
}

TEST(DonatedState, AnotherStateIsRefused) {
  for (std::size_t vector = 0; vector < 3; ++vector) {
    Given given = honest();
    given.contents.leaves[vector][1].bytes[0] ^= 1U;
    EXPECT_ERROR_SAYS(check_contents(given.contents, shape, given.closed), errors::state_refused,
                      "cosigned");
  }
  Given given = honest();
  given.closed.exchange.round = Round{5};
  EXPECT_ERROR(check_contents(given.contents, shape, given.closed), errors::state_refused);
}

TEST(DonatedState, AnotherSumIsRefused) {
  Given given = honest();
  given.contents.sums[2].bytes[31] ^= 1U;
  EXPECT_ERROR_SAYS(check_contents(given.contents, shape, given.closed), errors::state_refused,
                    "signed");
  given = honest();
  given.contents.total_weight = 78;
  EXPECT_ERROR(check_contents(given.contents, shape, given.closed), errors::state_refused);
}

TEST(DonatedState, ABlockWithoutItsLeafIsRefused) {
  const Given given = honest();
  for (std::uint32_t p = 1; p < shape.num_messages(); ++p) {
    Bytes bytes = block(p, piece_bytes(given.contents, shape, p));
    bytes.back() ^= 1U;
    EXPECT_ERROR_SAYS(check_piece(given.contents, shape, p, bytes), errors::state_refused,
                      "cosigned digest covers");
    bytes.push_back(0);
    EXPECT_ERROR_SAYS(check_piece(given.contents, shape, p, bytes), errors::state_refused,
                      "another size");
  }
  // The right bytes in another place are the wrong ones.
  EXPECT_ERROR(check_piece(given.contents, shape, 2, block(1, 4096)), errors::state_refused);
}

TEST(DonatedState, ContentsOfAnotherShapeAreMalformed) {
  const Bytes right = encode(honest().contents);
  for (std::size_t length = 0; length < right.size(); length += 7) {
    EXPECT_ERROR(decode_contents(ByteView(right).first(length), shape),
                 concordat::errors::malformed);
  }
  Bytes longer = right;
  longer.push_back(0);
  EXPECT_ERROR(decode_contents(longer, shape), concordat::errors::malformed);
  StateShape other = shape;
  other.num_elements = 5000;
  EXPECT_ERROR(decode_contents(right, other), concordat::errors::malformed);
  Bytes version = right;
  version[0] = 2;
  EXPECT_ERROR(decode_contents(version, shape), concordat::errors::malformed);
  StateContents scales = honest().contents;
  scales.scales[2] = 453;  // of 452 elements
  EXPECT_ERROR(decode_contents(encode(scales), shape), concordat::errors::malformed);
}

}  // namespace
}  // namespace concordat::site
