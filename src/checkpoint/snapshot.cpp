#include "checkpoint/snapshot.hpp"

#include <algorithm>

#include "checkpoint/batch.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/leaves.hpp"
#include "checkpoint/writer.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"

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
  for (const Batch& batch : batches_of(tensors, comm.size())) {
    std::vector<Tensor> parts;
    for (const Window& window : batch) parts.push_back(view_of(parts_[window.dataset], window));
    BatchParts(comm, tensors, batch, std::move(parts)).collect();
  }
}

namespace {

/// What is written with one call.
constexpr std::size_t blocks_at_once = 64;

void write_part(File& file, std::uint64_t begin, const Tensor& part,
                const std::atomic<bool>& given_up) {
  const ByteView bytes{reinterpret_cast<const std::uint8_t*>(part.raw_bytes()), part.size_bytes()};
  const std::size_t piece = (size_of(part.dtype()) << tensor_block_log2) * blocks_at_once;
  for (std::size_t at = 0; at < bytes.size() && !given_up; at += piece) {
    file.write_at(begin + at, bytes.subspan(at, std::min(piece, bytes.size() - at)));
  }
}

}  // namespace

std::vector<Digest> write_extents(FileSystem& fs, const Path& state,
                                  const std::vector<std::uint64_t>& offsets,
                                  const Snapshot& snapshot, const std::atomic<bool>& given_up) {
  std::vector<std::vector<Digest>> leaves;
  std::atomic<bool> failed{false};
  const auto file = fs.open(state, OpenMode::read_write_direct);
  Writer hasher;
  hasher.start([&] {
    leaves = leaves_of(snapshot.parts(), hashing_threads_beside_training(),
                       [&] { return given_up || failed; });
  });
  try {
    for (std::size_t i = 0; i < snapshot.size() && !given_up; ++i) {
      const Tensor& part = snapshot.part(i);
      if (part.empty()) continue;
      const auto begin =
          static_cast<std::uint64_t>(snapshot.slice(i).begin) * size_of(part.dtype());
      write_part(*file, offsets[i] + begin, part, given_up);
      kill_point("checkpoint.extent_written");
    }
    if (!given_up) file->sync();
  } catch (...) {
    failed = true;
    throw;
  }
  hasher.check();
  return flatten(leaves);
}

}  // namespace concordat::checkpoint
