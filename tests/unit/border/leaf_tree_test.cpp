#include "concordat/border/leaf_tree.hpp"

#include "border/frame_wire.hpp"
#include "unit/border/fixture.hpp"

namespace concordat::border::testing {
namespace {

TEST(LeafTree, IsTheTreeOfRfc6962ForEverySize) {
  TemporaryFolder folder;
  std::vector<Digest> leaves;
  for (std::uint64_t n = 1; n <= 70; ++n) {
    leaves.push_back(crypto::merkle_leaf(Bytes(3, static_cast<std::uint8_t>(n))));
    LeafTreeWriter writer(posix_files(), folder.path / "tree");
    for (const Digest& leaf : leaves) writer.add(leaf);
    EXPECT_EQ(writer.finish(), crypto::merkle_root(leaves));
    LeafTree tree(posix_files(), folder.path / "tree", n);
    EXPECT_EQ(tree.root(), crypto::merkle_root(leaves));
    for (std::uint64_t at = 0; at < n; ++at) {
      EXPECT_EQ(tree.leaf(at), leaves[at]);
      EXPECT_EQ(tree.path(at), crypto::inclusion_path(leaves, at)) << n << " " << at;
      EXPECT_EQ(path_entries(at, n), tree.path(at).size());
    }
  }
}

TEST(LeafTree, ManyLeavesCrossThePieceBoundary) {
  TemporaryFolder folder;
  std::vector<Digest> leaves;
  LeafTreeWriter writer(posix_files(), folder.path / "tree");
  for (std::uint32_t i = 0; i < 3001; ++i) {
    ByteWriter out;
    out.u32(i);
    leaves.push_back(crypto::merkle_leaf(out.bytes()));
    writer.add(leaves.back());
  }
  EXPECT_EQ(writer.finish(), crypto::merkle_root(leaves));
  LeafTree tree(posix_files(), folder.path / "tree", 3001);
  EXPECT_EQ(tree.path(3000), crypto::inclusion_path(leaves, 3000));
}

TEST(LeafTree, AFileOfAnotherLengthIsRefused) {
  TemporaryFolder folder;
  LeafTreeWriter writer(posix_files(), folder.path / "tree");
  writer.add(Digest{});
  writer.finish();
  EXPECT_EQ(code_of([&] { LeafTree tree(posix_files(), folder.path / "tree", 2); }),
            "core.malformed");
}

}  // namespace
}  // namespace concordat::border::testing
