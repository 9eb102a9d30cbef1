#include "checkpoint/load.hpp"

#include <array>

#include "checkpoint/batch.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/writer.hpp"

namespace concordat::checkpoint {

namespace {

/// Memory for the parts of one batch after the other: pages that were touched once stay.
class Slot {
 public:
  std::vector<Tensor> parts_for(const comm::Communicator& comm,
                                const std::vector<NamedTensor>& tensors, const Batch& batch) {
    constexpr std::size_t line = 64;
    std::vector<std::size_t> begins{0};
    std::vector<std::int64_t> counts;
    for (const std::size_t index : batch) {
      const NamedTensor& tensor = tensors[index];
      counts.push_back(part_of(index, tensor.shape, comm.rank(), comm.size()).count());
      const std::size_t bytes = static_cast<std::size_t>(counts.back()) * size_of(tensor.dtype);
      begins.push_back(begins.back() + (bytes + line - 1) / line * line);
    }
    if (memory_.empty() || memory_.size_bytes() < begins.back()) {
      memory_ = Tensor();
      memory_ = host_tensor(Dtype::u8, {static_cast<std::int64_t>(std::max(begins.back(), line))});
    }
    std::vector<Tensor> parts;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      parts.push_back(counts[i] == 0 ? Tensor()
                                     : Tensor(memory_.storage(), memory_.offset_bytes() + begins[i],
                                              tensors[batch[i]].dtype, {counts[i]}));
    }
    return parts;
  }

 private:
  Tensor memory_;
};

void read_parts(File& file, const Batch& batch, const std::vector<Tensor>& parts,
                const comm::Communicator& comm,
                const std::vector<const Manifest::Dataset*>& datasets) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (parts[i].empty()) continue;
    const Manifest::Dataset& dataset = *datasets[batch[i]];
    const auto slice = part_of(batch[i], dataset.shape, comm.rank(), comm.size());
    file.read_at(dataset.offset + static_cast<std::uint64_t>(slice.begin) * size_of(dataset.dtype),
                 {reinterpret_cast<std::uint8_t*>(parts[i].raw_bytes()), parts[i].size_bytes()});
  }
}

}  // namespace

std::string agree_on_reason(comm::Communicator& comm, const std::string& mine) {
  const auto all = comm.all_gather_bytes(as_bytes(mine));
  for (const auto& text : all) {
    if (!text.empty()) return to_string(text);
  }
  return {};
}

Loaded load(comm::Communicator& comm, FileSystem& fs, const Path& state,
            const std::vector<NamedTensor>& tensors,
            const std::vector<const Manifest::Dataset*>& datasets) {
  const std::vector<Batch> batches = batches_of(tensors);
  std::array<Slot, 2> read_slots;
  std::array<Slot, 2> hash_slots;
  std::vector<std::vector<Digest>> leaves(tensors.size());
  std::unique_ptr<File> file;
  std::string reason = reason_of([&] { file = fs.open(state, OpenMode::read); });
  Writer reader;  // threads: last, they use what is above
  Writer hasher;
  std::vector<Tensor> parts;
  const auto begin_reading = [&](std::size_t b) {
    if (b == batches.size() || !reason.empty()) return;
    parts = read_slots[b % 2].parts_for(comm, tensors, batches[b]);
    reader.start([&, b, into = parts] {
      reason = reason_of([&] { read_parts(*file, batches[b], into, comm, datasets); });
    });
  };
  begin_reading(0);
  for (std::size_t b = 0; b < batches.size(); ++b) {
    reader.check();
    if (const auto first = agree_on_reason(comm, reason); !first.empty()) return {first, {}};
    BatchParts arrived(comm, tensors, batches[b], parts);
    begin_reading(b + 1);
    arrived.distribute();
    const auto back = hash_slots[b % 2].parts_for(comm, tensors, batches[b]);
    BatchParts(comm, tensors, batches[b], back).collect();
    hasher.check();
    hasher.start([&, b, back] {
      for (std::size_t i = 0; i < back.size(); ++i) append_leaves(leaves[batches[b][i]], back[i]);
    });
  }
  hasher.check();
  std::vector<Shape> shapes;
  for (const auto& tensor : tensors) shapes.push_back(tensor.shape);
  return {{}, gather_roots(comm, flatten(leaves), shapes)};
}

}  // namespace concordat::checkpoint
