// Merkle trees of RFC 6962: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right).
//
//   MerkleBuilder tree;
//   for (ByteView block : blocks) tree.add(merkle_leaf(block));
//   Digest root = tree.root();                       // O(log n) memory
//   auto path = inclusion_path(leaves, 5);
//   bool in = verify_inclusion(leaves[5], 5, leaves.size(), path, root);
//
// Pure functions; verification never throws on bad input, it answers false.
#pragma once

#include <span>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

Digest merkle_leaf(ByteView data);
/// The leaf of each. Blocks of one length that stand side by side are hashed sixteen at a time
/// where the processor has AVX-512, in half the time. @pre one place a block in `leaves`.
void merkle_leaves(std::span<const ByteView> blocks, std::span<Digest> leaves);
Digest merkle_node(const Digest& left, const Digest& right);
/// SHA-256 of nothing.
Digest merkle_empty_root();

/// Root of a list that arrives leaf by leaf; keeps one digest per set bit of the count.
class MerkleBuilder {
 public:
  void add(const Digest& leaf);
  std::uint64_t size() const { return size_; }
  /// The root of the leaves so far; more may follow.
  Digest root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> peaks_;  // roots of perfect subtrees, largest first
};

Digest merkle_root(std::span<const Digest> leaves);

/// Siblings from the leaf to the root. @pre index < leaves.size(). Cost: hashes the whole list.
std::vector<Digest> inclusion_path(std::span<const Digest> leaves, std::uint64_t index);
bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                      std::span<const Digest> path, const Digest& root);

/// Proof that the first `old_size` leaves are a prefix. @pre old_size <= leaves.size().
/// Empty when old_size is 0 or leaves.size().
std::vector<Digest> consistency_path(std::span<const Digest> leaves, std::uint64_t old_size);
/// `old_size` 0 is consistent with everything, with an empty path, as in RFC 9162.
bool verify_consistency(std::uint64_t old_size, std::uint64_t new_size,
                        std::span<const Digest> path, const Digest& old_root,
                        const Digest& new_root);

}  // namespace concordat::crypto
