#include "checkpoint/snapshot.hpp"

#include <algorithm>

#include "checkpoint/batch.hpp"
#include "checkpoint/extents.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/merkle.hpp"

namespace concordat::checkpoint {

void Snapshot::reserve(comm::Communicator& comm, const std::vector<NamedTensor>& tensors) {
  comm::agreed(comm, [&] {
    parts_.resize(tensors.size());
    slices_.resize(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      slices_[i] = part_of(i, tensors[i].shape, comm.rank(), comm.size());
      const auto count = slices_[i].count();
      const Tensor& had = parts_[i];
      if (!had.empty() && had.size() == count && had.dtype() == tensors[i].dtype) continue;
      parts_[i] = count > 0 ? host_tensor(tensors[i].dtype, {count}) : Tensor();
    }
  });
}

void Snapshot::take(comm::Communicator& comm, const std::vector<NamedTensor>& tensors) {
  reserve(comm, tensors);
  for (auto& batch : batches_of(tensors)) {
    std::vector<Tensor> parts;
    for (const std::size_t index : batch) parts.push_back(parts_[index]);
    BatchParts(comm, tensors, std::move(batch), std::move(parts)).collect();
  }
}

namespace {

/// Blocks of a dataset that are written with one call and then hashed, while they are in the cache.
constexpr std::size_t blocks_at_once = 16;

}  // namespace

std::vector<Digest> write_extents(FileSystem& fs, const Path& state,
                                  const std::vector<std::uint64_t>& offsets,
                                  const Snapshot& snapshot, const std::atomic<bool>& given_up) {
  std::vector<Digest> leaves;
  const auto file = fs.open(state, OpenMode::read_write);
  for (std::size_t i = 0; i < snapshot.size(); ++i) {
    const Tensor& part = snapshot.part(i);
    if (part.empty()) continue;
    const std::size_t width = size_of(part.dtype());
    const ByteView bytes{reinterpret_cast<const std::uint8_t*>(part.raw_bytes()),
                         part.size_bytes()};
    const std::uint64_t begin =
        offsets[i] + static_cast<std::uint64_t>(snapshot.slice(i).begin) * width;
    const std::size_t piece = (width << tensor_block_log2) * blocks_at_once;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      if (given_up) return leaves;
      const ByteView now = bytes.subspan(at, std::min(piece, bytes.size() - at));
      file->write_at(begin + at, now);  // first: the disk writes while this thread hashes
      append_leaves(leaves, now, width);
    }
    kill_point("checkpoint.extent_written");
  }
  file->sync();
  return leaves;
}

}  // namespace concordat::checkpoint
