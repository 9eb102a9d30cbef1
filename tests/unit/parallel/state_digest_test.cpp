#include "concordat/parallel/state_digest.hpp"

#include <gtest/gtest.h>

#include <set>

#include "concordat/comm/threads.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::parallel {
namespace {

std::vector<float> values(std::int64_t n) {
  std::vector<float> v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(static_cast<float>(i) / 7.0F);
  return v;
}

Digest digest_over(int ranks, std::int64_t n, int block_log2, Round round) {
  Digest root;
  comm::run_threads(ranks, [&](comm::Communicator& comm) {
    const auto all = values(n);
    const Slice slice = slice_of(comm.rank(), ranks, n, block_log2);
    const auto mine = std::span(all).subspan(static_cast<std::size_t>(slice.begin),
                                             static_cast<std::size_t>(slice.count()));
    std::vector<VectorLeaves> vectors;
    for (const char* name : {"model", "momentum"}) {
      vectors.push_back({name, gather_leaves(comm, slice_leaves(name, slice, block_log2, mine))});
    }
    const Digest digest = state_root(round, n, block_log2, vectors);
    if (comm.rank() == ranks - 1) root = digest;
  });
  return root;
}

TEST(StateDigest, does_not_depend_on_the_ranks) {
  const Digest one = digest_over(1, 1000, 6, Round{3});
  for (int ranks : {2, 3, 6, 20}) EXPECT_EQ(digest_over(ranks, 1000, 6, Round{3}), one) << ranks;
}

TEST(StateDigest, depends_on_everything_it_covers) {
  std::set<Digest> roots{digest_over(2, 1000, 6, Round{3}), digest_over(2, 1000, 6, Round{4}),
                         digest_over(2, 999, 6, Round{3}), digest_over(2, 1000, 7, Round{3})};
  EXPECT_EQ(roots.size(), 4U);
  EXPECT_NE(state_leaf("model", 0, {}), state_leaf("model", 1, {}));
  EXPECT_NE(state_leaf("model", 0, {}), state_leaf("momentum", 0, {}));
}

TEST(StateDigest, is_the_worked_example_of_the_format_page) {
  // One vector of three elements 0, 1, 2 in one block of 2^14, round 0.
  const std::vector<float> three{0.0F, 1.0F, 2.0F};
  const Slice slice = slice_of(0, 1, 3, 14);
  const auto leaves = slice_leaves("model", slice, 14, three);
  ByteWriter leaf;
  leaf.u8(0);
  leaf.raw(as_bytes("concordat-state-leaf-1"));
  leaf.u8(0);
  leaf.u32(5);
  leaf.raw(as_bytes("model"));
  leaf.u64(0);
  for (float value : three) leaf.f32(value);
  ASSERT_EQ(leaves.size(), 1U);
  EXPECT_EQ(leaves[0], crypto::sha256(leaf.bytes()));
  const std::vector<VectorLeaves> vectors{{"model", leaves}};
  EXPECT_EQ(state_root(Round{0}, 3, 14, vectors).hex(),
            "c5aa93ffcbfe43a9029aa99cf238e6fe8b824b65536f62f006054f103f06e7a8");
}

}  // namespace
}  // namespace concordat::parallel
