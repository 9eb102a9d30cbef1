// The aggregate of one exchange on disk: sums in the clear, in order of position, and their tree.
#pragma once

#include <mutex>

#include "concordat/border/frames.hpp"
#include "concordat/border/leaf_tree.hpp"
#include "coordinator/exchange_files.hpp"

namespace concordat::coordinator {

/// Where a block of the sum lies in its file.
std::uint64_t sum_offset(const border::FrameTable& table, std::uint64_t position);

/// Seals the frames that sites fetch. Threads: any. Memory: one block per call.
class Aggregate {
 public:
  Aggregate(const CoordinatorFolder& folder, const ExchangeId& exchange,
            border::FrameSealer sealer);
  const border::FrameTable& table() const { return sealer_.table(); }
  border::Envelope frame(std::uint64_t position);
  std::uint64_t largest_frame_bytes() const;

 private:
  border::FrameSealer sealer_;
  std::mutex mutex_;  ///< of the two files
  std::unique_ptr<File> sums_;
  border::LeafTree tree_;
};

}  // namespace concordat::coordinator
