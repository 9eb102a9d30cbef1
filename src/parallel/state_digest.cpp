#include "concordat/parallel/state_digest.hpp"

#include <algorithm>
#include <bit>

#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::parallel {

namespace {

// With their terminating zero, so that no domain is a prefix of another.
constexpr std::string_view leaf_domain{"concordat-state-leaf-1\0", 23};
constexpr std::string_view root_domain{"concordat-state-1\0", 18};

static_assert(std::endian::native == std::endian::little,
              "state digests hash fp32 values as they lie in memory");

}  // namespace

Digest state_leaf(std::string_view vector, std::int64_t block, ByteView bytes) {
  ByteWriter head;
  head.u8(0);  // an RFC 6962 leaf
  head.raw(as_bytes(leaf_domain));
  head.sized(vector);
  head.u64(static_cast<std::uint64_t>(block));
  crypto::Sha256 hash;
  hash.update(head.bytes());
  hash.update(bytes);
  return hash.finish();
}

Digest state_root(Round round, std::int64_t num_elements, int block_log2,
                  std::span<const VectorLeaves> vectors) {
  const std::int64_t block = std::int64_t{1} << block_log2;
  const auto num_blocks = static_cast<std::size_t>((num_elements + block - 1) / block);
  ByteWriter out;
  out.raw(as_bytes(root_domain));
  out.u32(round.value());
  out.u64(static_cast<std::uint64_t>(num_elements));
  out.u32(static_cast<std::uint32_t>(block_log2));
  out.u32(static_cast<std::uint32_t>(vectors.size()));
  for (const auto& vector : vectors) {
    CONCORDAT_REQUIRE(vector.leaves.size() == num_blocks,
                      vector.name + " has " + std::to_string(vector.leaves.size()) +
                          " leaves for " + std::to_string(num_blocks) + " blocks");
    out.sized(vector.name);
    out.digest(crypto::merkle_root(vector.leaves));
  }
  return crypto::sha256(out.bytes());
}

std::vector<Digest> slice_leaves(std::string_view vector, const Slice& slice, int block_log2,
                                 std::span<const float> values) {
  CONCORDAT_REQUIRE(static_cast<std::int64_t>(values.size()) == slice.count(),
                    std::to_string(values.size()));
  std::vector<Digest> leaves;
  const std::size_t block = std::size_t{1} << block_log2;
  for (std::size_t at = 0; at < values.size(); at += block) {
    const auto part = values.subspan(at, std::min(block, values.size() - at));
    const auto index = slice.begin_block + static_cast<std::int64_t>(at / block);
    leaves.push_back(state_leaf(
        vector, index,
        {reinterpret_cast<const std::uint8_t*>(part.data()), part.size() * sizeof(float)}));
  }
  return leaves;
}

std::vector<Digest> gather_leaves(comm::Communicator& comm, std::span<const Digest> mine) {
  ByteWriter out;
  for (const auto& leaf : mine) out.digest(leaf);
  std::vector<Digest> all;
  for (const auto& bytes : comm.all_gather_bytes(out.bytes())) {
    ByteReader in(bytes, "state leaves");
    while (in.left() > 0) all.push_back(in.digest());
  }
  return all;
}

}  // namespace concordat::parallel
