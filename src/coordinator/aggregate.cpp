#include "coordinator/aggregate.hpp"

#include <algorithm>

#include "concordat/coordinator/errors.hpp"

namespace concordat::coordinator {

std::uint64_t sum_offset(const border::FrameTable& table, std::uint64_t position) {
  std::uint64_t offset = 0;
  std::uint64_t left = position;
  for (const border::VectorShape& shape : table.vectors) {
    if (left < shape.num_blocks) return offset + left * shape.block_bytes;
    if (shape.num_blocks == 0) continue;
    offset += (shape.num_blocks - 1) * shape.block_bytes + shape.last_block_bytes;
    left -= shape.num_blocks;
  }
  return offset;
}

Aggregate::Aggregate(const CoordinatorFolder& folder, const ExchangeId& exchange,
                     border::FrameSealer sealer)
    : folder_(folder), exchange_(exchange), sealer_(std::move(sealer)) {}

border::Envelope Aggregate::frame(std::uint64_t position) {
  if (position >= table().num_leaves()) {
    throw Error(errors::not_open, {.what = "the aggregate has no such block",
                                   .where = "aggregate",
                                   .found = "position " + std::to_string(position),
                                   .expected = std::to_string(table().num_leaves()) + " blocks",
                                   .remedy = "ask for positions of the announced table"});
  }
  border::BlockPlace place = table().place(position);
  Bytes block(table().block_bytes(place));
  std::vector<Digest> path;
  {
    std::lock_guard lock(mutex_);
    if (!files_) {
      FileSystem& fs = folder_.files();
      files_.emplace(fs.open(folder_.sum(exchange_), OpenMode::read),
                     border::LeafTree(fs, folder_.tree(exchange_), table().num_leaves()));
    }
    files_->sums->read_at(sum_offset(table(), position), block);
    path = files_->tree.path(position);
  }
  return sealer_.seal(place, block, path);
}

void Aggregate::rest() {
  std::lock_guard lock(mutex_);
  files_.reset();
}

std::uint64_t Aggregate::largest_frame_bytes() const {
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < border::num_block_vectors; ++i) {
    if (table().vectors[i].num_blocks == 0) continue;
    // All but the last have full size, and the first leaf has one of the longest paths.
    largest = std::max(largest, table().frame_bytes({static_cast<border::BlockVector>(i), 0}));
  }
  return largest;
}

}  // namespace concordat::coordinator
