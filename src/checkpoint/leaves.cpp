#include "checkpoint/leaves.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <span>

#include "checkpoint/extents.hpp"
#include "checkpoint/writer.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::checkpoint {

namespace {

constexpr int most_threads = 16;
/// Large against taking a piece, small against what is left at the end.
constexpr std::size_t blocks_a_piece = blocks_hashed_at_once;

struct Block {
  ByteView bytes;
  Digest* leaf;
};

ByteView bytes_of(const Tensor& part) {
  return {reinterpret_cast<const std::uint8_t*>(part.raw_bytes()), part.size_bytes()};
}

/// Whole blocks first, since those of one length are hashed together.
std::vector<Block> blocks_of(const std::vector<Tensor>& parts,
                             std::vector<std::vector<Digest>>& leaves) {
  std::vector<Block> whole;
  std::vector<Block> short_ones;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    const ByteView bytes = bytes_of(parts[i]);
    const std::size_t block = size_of(parts[i].dtype()) << tensor_block_log2;
    leaves[i].resize((bytes.size() + block - 1) / block);
    for (std::size_t b = 0; b < leaves[i].size(); ++b) {
      const std::size_t size = std::min(block, bytes.size() - b * block);
      (size == block ? whole : short_ones)
          .push_back({bytes.subspan(b * block, size), &leaves[i][b]});
    }
  }
  whole.insert(whole.end(), short_ones.begin(), short_ones.end());
  return whole;
}

void hash_piece(std::span<const Block> blocks) {
  std::array<ByteView, blocks_a_piece> views;
  std::array<Digest, blocks_a_piece> digests;
  for (std::size_t i = 0; i < blocks.size(); ++i) views[i] = blocks[i].bytes;
  crypto::merkle_leaves({views.data(), blocks.size()}, {digests.data(), blocks.size()});
  for (std::size_t i = 0; i < blocks.size(); ++i) *blocks[i].leaf = digests[i];
}

}  // namespace

int num_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

int hashing_threads_beside_training() { return std::clamp(num_processors(), 1, most_threads); }

std::vector<std::vector<Digest>> leaves_of(const std::vector<Tensor>& parts, int num_threads,
                                           const std::function<bool()>& given_up) {
  std::vector<std::vector<Digest>> leaves(parts.size());
  const std::vector<Block> blocks = blocks_of(parts, leaves);
  const std::size_t num_pieces = (blocks.size() + blocks_a_piece - 1) / blocks_a_piece;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t p = next++; p < num_pieces && !given_up(); p = next++) {
      const std::size_t first = p * blocks_a_piece;
      hash_piece(std::span(blocks).subspan(first, std::min(blocks_a_piece, blocks.size() - first)));
    }
  };
  const auto others = std::min(static_cast<std::size_t>(std::max(1, num_threads)), num_pieces);
  std::deque<Writer> threads;
  for (std::size_t i = 1; i < others; ++i) threads.emplace_back().start(work);
  work();
  for (Writer& thread : threads) thread.check();
  return leaves;
}

}  // namespace concordat::checkpoint
