// ReadAhead: this rank's parts of a state file, batch after batch, read and hashed by threads while
// the caller is busy with the batch before.
//
//   ReadAhead ahead({fs, state, OpenMode::read_direct, rank, num_ranks}, tensors, datasets);
//   for (std::size_t b = 0; b < ahead.batches().size(); ++b) {
//     const auto& taken = ahead.take();          // waits
//     if (!taken.reason.empty()) break;          // the file cannot be read
//     distribute(taken.parts);
//     ahead.give_back();                         // its memory may be used again
//   }
//   ahead.leaves();
//
// Each thread reads some blocks of a batch and hashes them while they are in the processor's cache;
// meanwhile the disk works for others. Memory: a batch's parts for each thread and three more.
// Threads: one calls it.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/batch.hpp"
#include "checkpoint/writer.hpp"
#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// Memory for the parts of one batch after the other: pages that were touched once stay.
class Slot {
 public:
  std::vector<Tensor> parts_for(const std::vector<NamedTensor>& tensors, const Batch& batch,
                                int rank, int num_ranks);

 private:
  Tensor memory_;
};

class ReadAhead {
 public:
  struct Source {
    FileSystem& fs;
    Path state;
    OpenMode mode;
    int rank;
    int num_ranks;
  };
  struct Taken {
    std::string reason{};         ///< why the file could not be read; empty: it could
    std::vector<Tensor> parts{};  ///< one a window
    std::vector<std::vector<Digest>> leaves{};
    std::vector<std::uint64_t> sums{};  ///< placement sums of the parts
  };

  /// `datasets` are those of the tensors, of which shapes and types count. Both must outlive it.
  ReadAhead(Source source, const std::vector<NamedTensor>& tensors,
            const std::vector<const Manifest::Dataset*>& datasets);
  ~ReadAhead();

  const std::vector<Batch>& batches() const { return batches_; }
  /// The next batch, once it is read.
  const Taken& take();
  void give_back();

  /// Of all batches that were taken, in dataset order.
  std::vector<Digest> leaves() const;
  /// One a tensor, of this rank's part.
  std::vector<std::uint64_t> sums() const;

 private:
  void work();
  Taken read(std::size_t b, File& file);

  Source source_;
  const std::vector<NamedTensor>& tensors_;
  const std::vector<const Manifest::Dataset*>& datasets_;
  std::vector<Batch> batches_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<Taken>> read_;  ///< one a batch
  std::size_t next_ = 0;                    ///< to read
  std::size_t taken_ = 0;                   ///< and given back
  bool stopped_ = false;
  bool failed_ = false;
  std::deque<Writer> threads_;  // last: they use what is above
};

}  // namespace concordat::checkpoint
