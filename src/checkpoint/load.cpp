#include "checkpoint/load.hpp"

#include <algorithm>
#include <array>

#include "checkpoint/batch.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/leaves.hpp"
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
    for (const Window& window : batch) {
      const NamedTensor& tensor = tensors[window.dataset];
      counts.push_back(slice_of(window, tensor.shape, comm.rank(), comm.size()).count());
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
                                              tensors[batch[i].dataset].dtype, {counts[i]}));
    }
    return parts;
  }

 private:
  Tensor memory_;
};

/// Whether the only rank holds the window as the file has it: it is read to where it belongs.
bool lies_as_saved(const comm::Communicator& comm, const NamedTensor& tensor) {
  const std::int64_t count = num_elements(tensor.shape);
  const auto whole = [&](const std::vector<parallel::Segment>& segments) {
    if (segments.size() != 1) return false;
    const parallel::Segment& all = segments.front();
    return all.begin == 0 && all.local_begin == 0 && all.run * all.count == count &&
           (all.count == 1 || (all.stride == all.run && all.local_stride == all.run));
  };
  return comm.size() == 1 && whole(tensor.held) && whole(tensor.owned) && tensor.local.contiguous();
}

class Loading {
 public:
  Loading(comm::Communicator& comm, FileSystem& fs, const Path& state,
          const std::vector<NamedTensor>& tensors,
          const std::vector<const Manifest::Dataset*>& datasets)
      : comm_(comm),
        tensors_(tensors),
        datasets_(datasets),
        batches_(batches_of(tensors, comm.size())),
        leaves_(tensors.size()) {
    reason_ = reason_of([&] { file_ = fs.open(state, OpenMode::read); });
  }

  /// The reason if the file cannot be read.
  std::string run() {
    begin_reading(0);
    for (std::size_t b = 0; b < batches_.size(); ++b) {
      reader_.check();
      if (auto first = agree_on_reason(comm_, reason_); !first.empty()) return first;
      const std::vector<Tensor> arrived = parts_;
      begin_reading(b + 1);
      const std::vector<Tensor> back = in_place(batches_[b]) ? arrived : place(b, arrived);
      hasher_.check();
      hasher_.start([this, b, back] { hash(batches_[b], back); });
    }
    hasher_.check();
    return {};
  }

  std::vector<Digest> leaves() const { return flatten(leaves_); }

 private:
  void begin_reading(std::size_t b) {
    if (b == batches_.size() || !reason_.empty()) return;
    parts_ = in_place(batches_[b]) ? locals(batches_[b])
                                   : read_slots_[b % 2].parts_for(comm_, tensors_, batches_[b]);
    reader_.start(
        [this, b, into = parts_] { reason_ = reason_of([&] { read(batches_[b], into); }); });
  }

  /// The same on all ranks.
  bool in_place(const Batch& batch) const {
    return std::all_of(batch.begin(), batch.end(), [&](const Window& window) {
      return lies_as_saved(comm_, tensors_[window.dataset]);
    });
  }

  std::vector<Tensor> locals(const Batch& batch) const {
    std::vector<Tensor> views;
    for (const Window& window : batch) {
      views.push_back(view_of(tensors_[window.dataset].local, window));
    }
    return views;
  }

  void read(const Batch& batch, const std::vector<Tensor>& into) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Manifest::Dataset& dataset = *datasets_[batch[i].dataset];
      const auto slice = slice_of(batch[i], dataset.shape, comm_.rank(), comm_.size());
      read_slice(*file_, dataset, slice, into[i]);
    }
  }

  /// Collective: to the holders, and what the owners then hold.
  std::vector<Tensor> place(std::size_t b, const std::vector<Tensor>& arrived) {
    BatchParts(comm_, tensors_, batches_[b], arrived).distribute();
    auto back = hash_slots_[b % 2].parts_for(comm_, tensors_, batches_[b]);
    BatchParts(comm_, tensors_, batches_[b], back).collect();
    return back;
  }

  void hash(const Batch& batch, const std::vector<Tensor>& back) {
    const auto lists = leaves_of(back, hashing_threads(), [] { return false; });
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto& leaves = leaves_[batch[i].dataset];
      leaves.insert(leaves.end(), lists[i].begin(), lists[i].end());
    }
  }

  comm::Communicator& comm_;
  const std::vector<NamedTensor>& tensors_;
  const std::vector<const Manifest::Dataset*>& datasets_;
  std::vector<Batch> batches_;
  std::array<Slot, 2> read_slots_;
  std::array<Slot, 2> hash_slots_;
  std::vector<std::vector<Digest>> leaves_;
  std::unique_ptr<File> file_;
  std::string reason_;
  std::vector<Tensor> parts_;  ///< of the batch that is read
  Writer reader_;              // threads: last, they use what is above
  Writer hasher_;
};

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
  Loading loading(comm, fs, state, tensors, datasets);
  if (auto reason = loading.run(); !reason.empty()) return {std::move(reason), {}};
  std::vector<Shape> shapes;
  for (const auto& tensor : tensors) shapes.push_back(tensor.shape);
  return {{}, gather_roots(comm, loading.leaves(), shapes)};
}

}  // namespace concordat::checkpoint
