#include "checkpoint/read_ahead.hpp"

#include <algorithm>

#include "checkpoint/extents.hpp"
#include "checkpoint/leaves.hpp"
#include "checkpoint/load.hpp"
#include "checkpoint/placement.hpp"

namespace concordat::checkpoint {

namespace {

/// One a processor, and one that waits for the disk meanwhile.
std::size_t num_threads() {
  return static_cast<std::size_t>(std::clamp(num_processors() + 1, 2, 4));
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
  slots_.resize(count + 1);
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
                                                           source_.num_ranks)};
  std::vector<std::int64_t> firsts;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Manifest::Dataset& dataset = *datasets_[batch[i].dataset];
    const auto slice = slice_of(batch[i], dataset.shape, source_.rank, source_.num_ranks);
    read_slice(file, dataset, slice, taken.parts[i]);
    firsts.push_back(slice.begin);
  }
  taken.leaves = leaves_of(taken.parts, 1, [] { return false; });
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Tensor& part = taken.parts[i];
    const auto* bytes = part.empty() ? nullptr : part.raw_bytes();
    taken.sums.push_back(placement_sum(
        {reinterpret_cast<const std::uint8_t*>(bytes), part.empty() ? 0 : part.size_bytes()},
        size_of(tensors_[batch[i].dataset].dtype), firsts[i]));
  }
  return taken;
}

}  // namespace concordat::checkpoint
