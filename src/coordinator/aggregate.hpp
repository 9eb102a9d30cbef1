// The aggregate of one exchange on disk: sums in the clear, in order of position, and their tree.
#pragma once

#include <mutex>
#include <optional>

#include "concordat/border/frames.hpp"
#include "concordat/border/leaf_tree.hpp"
#include "coordinator/exchange_files.hpp"

namespace concordat::coordinator {

/// Where a block of the sum lies in its file.
std::uint64_t sum_offset(const border::FrameTable& table, std::uint64_t position);

/// Seals the frames that sites fetch. Its files are open from a call of frame() until rest().
/// Threads: any. Memory: one block per call.
class Aggregate {
 public:
  Aggregate(const CoordinatorFolder& folder, const ExchangeId& exchange,
            border::FrameSealer sealer);
  const ExchangeId& exchange() const { return exchange_; }
  const border::FrameTable& table() const { return sealer_.table(); }
  border::Envelope frame(std::uint64_t position);
  std::uint64_t largest_frame_bytes() const;
  /// Closes the files; the next frame() opens them again.
  void rest();

 private:
  struct Files {
    std::unique_ptr<File> sums;
    border::LeafTree tree;
  };
  const CoordinatorFolder& folder_;
  ExchangeId exchange_;
  border::FrameSealer sealer_;
  std::mutex mutex_;  ///< of the files
  std::optional<Files> files_;
};

}  // namespace concordat::coordinator
