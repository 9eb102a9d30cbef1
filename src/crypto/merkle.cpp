#include "concordat/crypto/merkle.hpp"

#include <algorithm>
#include <bit>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "crypto/sha256_lanes.hpp"

namespace concordat::crypto {
namespace {

/// The largest power of two below n. @pre n >= 2.
std::uint64_t split_point(std::uint64_t n) { return std::bit_floor(n - 1); }

void collect_inclusion(std::span<const Digest> leaves, std::uint64_t index,
                       std::vector<Digest>& path) {
  if (leaves.size() <= 1) return;
  std::uint64_t k = split_point(leaves.size());
  if (index < k) {
    collect_inclusion(leaves.first(k), index, path);
    path.push_back(merkle_root(leaves.subspan(k)));
  } else {
    collect_inclusion(leaves.subspan(k), index - k, path);
    path.push_back(merkle_root(leaves.first(k)));
  }
}

// SUBPROOF of RFC 6962 section 2.1.2; `whole` says that the old tree is this whole subtree, whose
// root the verifier has already.
void collect_consistency(std::span<const Digest> leaves, std::uint64_t old_size, bool whole,
                         std::vector<Digest>& path) {
  if (old_size == leaves.size()) {
    if (!whole) path.push_back(merkle_root(leaves));
    return;
  }
  std::uint64_t k = split_point(leaves.size());
  if (old_size <= k) {
    collect_consistency(leaves.first(k), old_size, whole, path);
    path.push_back(merkle_root(leaves.subspan(k)));
  } else {
    collect_consistency(leaves.subspan(k), old_size - k, false, path);
    path.push_back(merkle_root(leaves.first(k)));
  }
}

constexpr std::uint8_t leaf_prefix = 0x00;

/// From here on fewer blocks than lanes take longer in the lanes than one after the other.
constexpr std::size_t fewest_in_lanes = 8;

/// How many blocks from the first on go into the lanes together.
std::size_t count_for_lanes(std::span<const ByteView> blocks) {
  const std::size_t bytes = blocks.front().size();
  std::size_t count = 0;
  while (count < std::min(num_lanes, blocks.size()) && blocks[count].size() == bytes) ++count;
  return bytes < shortest_in_lanes || count < fewest_in_lanes ? 0 : count;
}

}  // namespace

Digest merkle_leaf(ByteView data) {
  return Sha256().update({&leaf_prefix, 1}).update(data).finish();
}

void merkle_leaves(std::span<const ByteView> blocks, std::span<Digest> leaves) {
  CONCORDAT_REQUIRE(blocks.size() == leaves.size(), std::to_string(blocks.size()));
  static const bool lanes = has_lanes();
  while (!blocks.empty()) {
    std::size_t count = lanes ? count_for_lanes(blocks) : 0;
    if (count == 0) {
      count = 1;
      leaves.front() = merkle_leaf(blocks.front());
    } else {
      std::array<ByteView, num_lanes> messages;
      for (std::size_t i = 0; i < num_lanes; ++i) messages[i] = blocks[i < count ? i : 0];
      const auto digests = sha256_lanes(leaf_prefix, messages);
      std::copy_n(digests.begin(), count, leaves.begin());
    }
    blocks = blocks.subspan(count);
    leaves = leaves.subspan(count);
  }
}

Digest merkle_node(const Digest& left, const Digest& right) {
  std::uint8_t bytes[65];
  bytes[0] = 0x01;
  std::copy(left.bytes.begin(), left.bytes.end(), bytes + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), bytes + 33);
  return sha256(bytes);
}

Digest merkle_empty_root() { return sha256({}); }

void MerkleBuilder::add(const Digest& leaf) {
  Digest node = leaf;
  // A binary counter: each trailing one bit of the count is a perfect subtree to join with.
  for (std::uint64_t carry = size_; (carry & 1U) != 0; carry >>= 1U) {
    node = merkle_node(peaks_.back(), node);
    peaks_.pop_back();
  }
  peaks_.push_back(node);
  ++size_;
}

Digest MerkleBuilder::root() const {
  if (peaks_.empty()) return merkle_empty_root();
  Digest node = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i-- > 0;) node = merkle_node(peaks_[i], node);
  return node;
}

Digest merkle_root(std::span<const Digest> leaves) {
  MerkleBuilder builder;
  for (const Digest& leaf : leaves) builder.add(leaf);
  return builder.root();
}

std::vector<Digest> inclusion_path(std::span<const Digest> leaves, std::uint64_t index) {
  CONCORDAT_REQUIRE(index < leaves.size(), std::to_string(index));
  std::vector<Digest> path;
  collect_inclusion(leaves, index, path);
  return path;
}

bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                      std::span<const Digest> path, const Digest& root) {
  if (index >= size) return false;
  std::uint64_t at = index;
  std::uint64_t last = size - 1;
  Digest node = leaf;
  for (const Digest& sibling : path) {
    if (last == 0) return false;
    if ((at & 1U) != 0 || at == last) {
      node = merkle_node(sibling, node);
      // A right edge that is a left child has no sibling on these levels.
      while ((at & 1U) == 0 && at != 0) {
        at >>= 1U;
        last >>= 1U;
      }
    } else {
      node = merkle_node(node, sibling);
    }
    at >>= 1U;
    last >>= 1U;
  }
  return last == 0 && node == root;
}

std::vector<Digest> consistency_path(std::span<const Digest> leaves, std::uint64_t old_size) {
  CONCORDAT_REQUIRE(old_size <= leaves.size(), std::to_string(old_size));
  std::vector<Digest> path;
  if (old_size != 0) collect_consistency(leaves, old_size, true, path);
  return path;
}

bool verify_consistency(std::uint64_t old_size, std::uint64_t new_size,
                        std::span<const Digest> path, const Digest& old_root,
                        const Digest& new_root) {
  if (old_size > new_size) return false;
  if (old_size == new_size) return path.empty() && old_root == new_root;
  if (old_size == 0) return path.empty() && old_root == merkle_empty_root();
  if (path.empty()) return false;
  // A perfect old tree is a node of the new one, so its root opens the path unsaid.
  bool perfect = std::has_single_bit(old_size);
  std::size_t next = perfect ? 0 : 1;
  Digest old_node = perfect ? old_root : path[0];
  Digest new_node = old_node;
  std::uint64_t at = old_size - 1;
  std::uint64_t last = new_size - 1;
  while ((at & 1U) != 0) {
    at >>= 1U;
    last >>= 1U;
  }
  for (; next < path.size(); ++next) {
    if (last == 0) return false;
    if ((at & 1U) != 0 || at == last) {
      old_node = merkle_node(path[next], old_node);
      new_node = merkle_node(path[next], new_node);
      while ((at & 1U) == 0 && at != 0) {
        at >>= 1U;
        last >>= 1U;
      }
    } else {
      new_node = merkle_node(new_node, path[next]);
    }
    at >>= 1U;
    last >>= 1U;
  }
  return last == 0 && old_node == old_root && new_node == new_root;
}

}  // namespace concordat::crypto
