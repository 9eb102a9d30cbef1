#include "concordat/crypto/merkle.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "support/vectors.hpp"

namespace concordat::crypto {
namespace {

std::vector<Digest> leaves_of(std::uint64_t count) {
  std::vector<Digest> leaves;
  for (std::uint64_t i = 0; i < count; ++i) {
    leaves.push_back(merkle_leaf(as_bytes("leaf " + std::to_string(i))));
  }
  return leaves;
}

// MTH as RFC 6962 section 2.1 words it: slow, obviously right.
Digest definition(std::span<const Digest> leaves) {
  if (leaves.empty()) return sha256({});
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (2 * k < leaves.size()) k *= 2;
  return merkle_node(definition(leaves.first(k)), definition(leaves.subspan(k)));
}

// The eight inputs that Certificate Transparency's reference log tests with, and their root.
TEST(Merkle, RootOfTheReferenceTree) {
  MerkleBuilder tree;
  for (const char* input : {"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                            "606162636465666768696a6b6c6d6e6f"}) {
    tree.add(merkle_leaf(from_hex(input, "test")));
  }
  EXPECT_EQ(tree.root().hex(), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

TEST(Merkle, LeavesOfManyBlocksAreThoseOfEach) {
  Bytes bytes(70'000);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  const auto check = [](const std::vector<ByteView>& blocks, const std::string& what) {
    std::vector<Digest> leaves(blocks.size());
    merkle_leaves(blocks, leaves);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_EQ(leaves[i], merkle_leaf(blocks[i])) << what << ", block " << i;
    }
  };
  // Every way in which a message can end in its last 64 bytes, and every filling of the lanes.
  for (std::size_t size = 0; size < 200; ++size) {
    std::vector<ByteView> blocks;
    for (std::size_t i = 0; i < 16; ++i)
      blocks.push_back(ByteView(bytes).subspan(i * 201 + i, size));
    check(blocks, std::to_string(size) + " bytes");
  }
  for (std::size_t count = 0; count < 50; ++count) {
    std::vector<ByteView> blocks;
    for (std::size_t i = 0; i < count; ++i)
      blocks.push_back(ByteView(bytes).subspan(i * 1000, 999));
    if (count % 3 == 0 && count > 0) blocks[count / 2] = ByteView(bytes).first(count);
    check(blocks, std::to_string(count) + " blocks");
  }
  check(std::vector<ByteView>(17, ByteView(bytes)), "long blocks");
}

TEST(Merkle, BuilderIsTheDefinitionAtEverySize) {
  std::vector<Digest> leaves = leaves_of(70);
  MerkleBuilder tree;
  for (std::size_t n = 0; n <= leaves.size(); ++n) {
    auto first = std::span(leaves).first(n);
    EXPECT_EQ(tree.root(), definition(first)) << n;
    EXPECT_EQ(merkle_root(first), definition(first)) << n;
    EXPECT_EQ(tree.size(), n);
    if (n < leaves.size()) tree.add(leaves[n]);
  }
}

TEST(Merkle, EveryInclusionProofHoldsAndNoOther) {
  std::vector<Digest> all = leaves_of(20);
  for (std::uint64_t size = 1; size <= all.size(); ++size) {
    auto leaves = std::span(all).first(size);
    Digest root = merkle_root(leaves);
    for (std::uint64_t i = 0; i < size; ++i) {
      std::vector<Digest> path = inclusion_path(leaves, i);
      EXPECT_TRUE(verify_inclusion(leaves[i], i, size, path, root)) << i << " of " << size;
      EXPECT_FALSE(verify_inclusion(leaves[i], (i + 1) % size, size, path, root) && size > 1);
      EXPECT_FALSE(verify_inclusion(merkle_leaf({}), i, size, path, root));
      EXPECT_FALSE(verify_inclusion(leaves[i], i, size, path, leaves[0]) && size > 1);
      path.push_back(root);
      EXPECT_FALSE(verify_inclusion(leaves[i], i, size, path, root));
      path.resize(path.size() - 1);
      if (!path.empty()) {
        path.pop_back();
        EXPECT_FALSE(verify_inclusion(leaves[i], i, size, path, root));
      }
    }
    EXPECT_FALSE(verify_inclusion(leaves[0], size, size, {}, root));
    EXPECT_THROW(inclusion_path(leaves, size), Bug);
  }
}

TEST(Merkle, EveryConsistencyProofHoldsAndARewrittenHistoryDoesNot) {
  std::vector<Digest> all = leaves_of(20);
  for (std::uint64_t size = 0; size <= all.size(); ++size) {
    auto leaves = std::span(all).first(size);
    Digest root = merkle_root(leaves);
    for (std::uint64_t old = 0; old <= size; ++old) {
      Digest old_root = merkle_root(leaves.first(old));
      std::vector<Digest> path = consistency_path(leaves, old);
      EXPECT_TRUE(verify_consistency(old, size, path, old_root, root)) << old << " to " << size;
      EXPECT_FALSE(verify_consistency(old, size, path, merkle_leaf({}), root));
      if (old > 0) {
        EXPECT_FALSE(verify_consistency(old, size, path, old_root, merkle_leaf({})));
      }
      for (std::size_t i = 0; i < path.size(); ++i) {
        std::vector<Digest> damaged = path;
        damaged[i].bytes[3] ^= 1U;
        EXPECT_FALSE(verify_consistency(old, size, damaged, old_root, root));
      }
      path.push_back(root);
      EXPECT_FALSE(verify_consistency(old, size, path, old_root, root));
    }
  }
  EXPECT_FALSE(verify_consistency(3, 2, {}, merkle_root(std::span(all).first(3)),
                                  merkle_root(std::span(all).first(2))));
}

/// Digests of a vector; false when one has not 32 bytes, which our types refuse to hold.
bool read_digests(const nlohmann::json& list, std::vector<Digest>& out) {
  if (list.is_null()) return true;
  for (const auto& text : list) {
    Bytes bytes = from_base64(text.get<std::string>(), "vector");
    if (bytes.size() != 32) return false;
    out.push_back(digest_from(bytes, "vector"));
  }
  return true;
}

// transparency-dev/merkle's proofs, good and damaged. Its subtree proofs are another protocol.
TEST(Merkle, ForeignVectors) {
  CONCORDAT_NEED_VECTORS(folder);
  int inclusions = 0;
  int consistencies = 0;
  for (const char* kind : {"inclusion", "consistency"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder / "merkle" / kind)) {
      if (entry.path().extension() != ".json") continue;
      SCOPED_TRACE(entry.path().string());
      nlohmann::json v = nlohmann::json::parse(std::ifstream(entry.path()));
      std::vector<Digest> path;
      std::vector<Digest> ends;
      bool good = read_digests(v["proof"], path);
      if (kind == std::string("inclusion")) {
        good = good && read_digests({v["leafHash"], v["root"]}, ends) &&
               verify_inclusion(ends[0], v["leafIdx"].get<std::uint64_t>(),
                                v["treeSize"].get<std::uint64_t>(), path, ends[1]);
        ++inclusions;
      } else {
        // Two decisions: from an empty tree everything is consistent here (the vectors call that
        // useless), and where the vectors say "don't care" for a root, any fixed value serves.
        if (v["size1"] == 0) continue;
        for (const char* root : {"root1", "root2"}) {
          Bytes bytes = from_base64(v[root].get<std::string>(), "vector");
          ends.push_back(bytes.size() == 32 ? digest_from(bytes, "vector") : sha256(bytes));
        }
        good = good && verify_consistency(v["size1"].get<std::uint64_t>(),
                                          v["size2"].get<std::uint64_t>(), path, ends[0], ends[1]);
        ++consistencies;
      }
      EXPECT_EQ(good, !v["wantErr"].get<bool>());
    }
  }
  EXPECT_GT(inclusions, 80);
  EXPECT_GT(consistencies, 80);
}

}  // namespace
}  // namespace concordat::crypto
