#include "checkpoint/leaves.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <deque>

#include "checkpoint/extents.hpp"
#include "checkpoint/writer.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::checkpoint {

namespace {

constexpr int most_threads = 4;
/// A megabyte of f32: large against taking a piece, small against what is left at the end.
constexpr std::size_t blocks_a_piece = 4;

struct Piece {
  std::size_t part;
  std::size_t first_block;
  std::size_t num_blocks;
};

int num_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

void hash_piece(const Tensor& part, const Piece& piece, std::vector<Digest>& leaves) {
  const std::size_t block = size_of(part.dtype()) << tensor_block_log2;
  const ByteView bytes{reinterpret_cast<const std::uint8_t*>(part.raw_bytes()), part.size_bytes()};
  for (std::size_t b = piece.first_block; b < piece.first_block + piece.num_blocks; ++b) {
    const std::size_t at = b * block;
    leaves[b] = crypto::merkle_leaf(bytes.subspan(at, std::min(block, bytes.size() - at)));
  }
}

}  // namespace

int hashing_threads() { return std::clamp(num_processors(), 1, most_threads); }

int hashing_threads_beside_training() { return std::clamp(num_processors() / 4, 1, most_threads); }

std::vector<std::vector<Digest>> leaves_of(const std::vector<Tensor>& parts, int num_threads,
                                           const std::function<bool()>& given_up) {
  std::vector<std::vector<Digest>> leaves(parts.size());
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    const std::size_t block = size_of(parts[i].dtype()) << tensor_block_log2;
    leaves[i].resize((parts[i].size_bytes() + block - 1) / block);
    for (std::size_t b = 0; b < leaves[i].size(); b += blocks_a_piece) {
      pieces.push_back({i, b, std::min(blocks_a_piece, leaves[i].size() - b)});
    }
  }
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t p = next++; p < pieces.size() && !given_up(); p = next++) {
      hash_piece(parts[pieces[p].part], pieces[p], leaves[pieces[p].part]);
    }
  };
  const auto others = std::min(static_cast<std::size_t>(std::max(1, num_threads)), pieces.size());
  std::deque<Writer> threads;
  for (std::size_t i = 1; i < others; ++i) threads.emplace_back().start(work);
  work();
  for (Writer& thread : threads) thread.check();
  return leaves;
}

}  // namespace concordat::checkpoint
