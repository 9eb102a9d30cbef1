#include "checkpoint/read_ahead.hpp"

#include <algorithm>

#include "checkpoint/extents.hpp"
#include "checkpoint/leaves.hpp"
#include "checkpoint/load.hpp"
#include "checkpoint/placement.hpp"

namespace concordat::checkpoint {

namespace {

/// Of a window's part: whole blocks, or its end.
struct Piece {
  std::size_t window;
  std::int64_t begin;
  std::int64_t count;
};

/// All of all parts in order, by what is read and hashed together: as many whole blocks as are
/// hashed at once, while they are in the processor's cache.
std::vector<std::vector<Piece>> pieces_of(const std::vector<Tensor>& parts) {
  constexpr std::int64_t block = std::int64_t{1} << tensor_block_log2;
  std::vector<std::vector<Piece>> all;
  std::int64_t room = 0;  // whole blocks
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::int64_t size = parts[i].empty() ? 0 : parts[i].size();
    for (std::int64_t begin = 0; begin < size;) {
      if (room == 0) {
        all.emplace_back();
        room = blocks_hashed_at_once;
      }
      const std::int64_t count = std::min(size - begin, room * block);
      all.back().push_back({i, begin, count});
      room -= count / block;
      begin += count;
    }
  }
  return all;
}

/// One a processor, and some that wait for the disk meanwhile: one alone would leave it without
/// work between two requests.
std::size_t num_threads() {
  return static_cast<std::size_t>(std::clamp(num_processors() + 3, 2, 6));
}

}  // namespace

std::vector<Tensor> Slot::parts_for(const std::vector<NamedTensor>& tensors, const Batch& batch,
                                    int rank, int num_ranks) {
  std::vector<std::size_t> begins{0};
  std::vector<std::int64_t> counts;
  for (const Window& window : batch) {
    const NamedTensor& tensor = tensors[window.dataset];
    counts.push_back(slice_of(window, tensor.shape, rank, num_ranks).count());
    const std::size_t bytes = static_cast<std::size_t>(counts.back()) * size_of(tensor.dtype);
    // Where a part may come from the file without a copy.
    const std::size_t line = bytes >= direct_alignment ? direct_alignment : 64;
    begins.back() = (begins.back() + line - 1) / line * line;
    begins.push_back(begins.back() + bytes);
  }
  if (memory_.empty() || memory_.size_bytes() < begins.back()) {
    memory_ = Tensor();
    memory_ = host_tensor(Dtype::u8,
                          {static_cast<std::int64_t>(std::max(begins.back(), direct_alignment))});
  }
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    parts.push_back(counts[i] == 0 ? Tensor()
                                   : Tensor(memory_.storage(), memory_.offset_bytes() + begins[i],
                                            tensors[batch[i].dataset].dtype, {counts[i]}));
  }
  return parts;
}

ReadAhead::ReadAhead(Source source, const std::vector<NamedTensor>& tensors,
                     const std::vector<const Manifest::Dataset*>& datasets)
    : source_(std::move(source)),
      tensors_(tensors),
      datasets_(datasets),
      batches_(batches_of(tensors, source_.num_ranks)),
      read_(batches_.size()) {
  const std::size_t count = std::min(num_threads(), batches_.size());
  slots_.resize(count + 3);  // so that few wait for the slowest
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back().start([this] { work(); });
}

ReadAhead::~ReadAhead() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

const ReadAhead::Taken& ReadAhead::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failed_ || read_[taken_]; });
  if (failed_) {
    lock.unlock();
    for (Writer& thread : threads_) thread.check();
  }
  return *read_[taken_];
}

void ReadAhead::give_back() {
  const std::lock_guard lock(mutex_);
  read_[taken_]->parts.clear();
  ++taken_;
  changed_.notify_all();
}

std::vector<Digest> ReadAhead::leaves() const {
  std::vector<std::vector<Digest>> lists(tensors_.size());
  for (std::size_t b = 0; b < taken_; ++b) {
    for (std::size_t i = 0; i < batches_[b].size(); ++i) {
      auto& list = lists[batches_[b][i].dataset];
      const auto& more = read_[b]->leaves[i];
      list.insert(list.end(), more.begin(), more.end());
    }
  }
  return flatten(lists);
}

std::vector<std::uint64_t> ReadAhead::sums() const {
  std::vector<std::uint64_t> sums(tensors_.size());
  for (std::size_t b = 0; b < taken_; ++b) {
    for (std::size_t i = 0; i < batches_[b].size(); ++i) {
      sums[batches_[b][i].dataset] += read_[b]->sums[i];
    }
  }
  return sums;
}

void ReadAhead::work() {
  std::unique_ptr<File> file;
  try {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] {
        return stopped_ || next_ == batches_.size() || next_ < taken_ + slots_.size();
      });
      if (stopped_ || next_ == batches_.size()) return;
      const std::size_t b = next_++;
      lock.unlock();
      Taken taken;
      taken.reason = reason_of([&] {
        if (!file) file = source_.fs.open(source_.state, source_.mode);
        taken = read(b, *file);
      });
      lock.lock();
      read_[b] = std::move(taken);
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failed_ = stopped_ = true;
    changed_.notify_all();
    throw;
  }
}

ReadAhead::Taken ReadAhead::read(std::size_t b, File& file) {
  const Batch& batch = batches_[b];
  Taken taken{.parts = slots_[b % slots_.size()].parts_for(tensors_, batch, source_.rank,
                                                           source_.num_ranks),
              .leaves = std::vector<std::vector<Digest>>(batch.size()),
              .sums = std::vector<std::uint64_t>(batch.size())};
  std::vector<std::int64_t> firsts;  // of the parts, in their datasets
  for (const Window& window : batch) {
    firsts.push_back(
        slice_of(window, datasets_[window.dataset]->shape, source_.rank, source_.num_ranks).begin);
  }
  for (const std::vector<Piece>& together : pieces_of(taken.parts)) {
    std::vector<Tensor> views;
    for (const Piece& piece : together) {
      views.push_back(taken.parts[piece.window].slice(0, piece.begin, piece.count));
      read_elements(file, *datasets_[batch[piece.window].dataset],
                    firsts[piece.window] + piece.begin, views.back());
    }
    const auto leaves = leaves_of(views, 1, [] { return false; });
    for (std::size_t i = 0; i < together.size(); ++i) {
      const auto [window, begin, count] = together[i];
      auto& list = taken.leaves[window];
      list.insert(list.end(), leaves[i].begin(), leaves[i].end());
      taken.sums[window] += placement_sum(
          {reinterpret_cast<const std::uint8_t*>(views[i].raw_bytes()), views[i].size_bytes()},
          size_of(views[i].dtype()), firsts[window] + begin);
    }
  }
  return taken;
}

}  // namespace concordat::checkpoint
