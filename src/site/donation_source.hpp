// DonationSource: what a donor reads its state from: one of its generations, and its inbox.
//
//   DonationSource source(folder, shape, closed, scales_per_block);
//   while (!source.hash_some(bytes)) ...;            // the whole state, so much at a time
//   source.contents();                               // every leaf was hashed from the disk
//   Bytes bytes = source.piece(position);            // hashed again
//
// Of the generation it reads outer/phi, outer/m, outer/v and outer/scales, and nothing else.
// Memory: one block. Threads: one. Not collective: the ranks need not run.
#pragma once

#include <memory>

#include "concordat/checkpoint/checkpoint.hpp"
#include "site/donated_state.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

class DonationSource {
 public:
  /// Hashes nothing yet. @throws Error(site.nothing_to_give) if no generation holds the state of
  /// that exchange or the inbox has not its sum.
  DonationSource(RunFolder& folder, const StateShape& shape, const ClosedExchange& closed,
                 std::vector<std::uint32_t> scales_per_block);
  /// Reads and hashes what comes next: one block, and more as long as that is `most_bytes` at most.
  /// True when all of it is hashed. @throws Error(site.state_refused) if it is not what the
  /// participants signed.
  bool hash_some(std::uint64_t most_bytes);
  bool hashed() const { return next_ == shape_.num_messages(); }
  /// @pre hashed(), here and below.
  const StateContents& contents() const;
  Bytes piece(std::uint32_t position);

 private:
  Bytes read(std::uint32_t position);
  std::uint64_t first_scale(std::uint64_t block) const;

  StateShape shape_;
  ClosedExchange closed_;
  std::uint32_t next_ = 1;  ///< position that is hashed next
  StateContents contents_;
  std::unique_ptr<File> state_;
  std::unique_ptr<File> sums_;
  std::vector<std::uint64_t> offsets_{};  ///< in state_, by vector
};

/// The newest generation that holds the state of this exchange; empty if there is none.
std::string generation_of(FileSystem& fs, const FileSystem::Path& checkpoints,
                          const ExchangeId& exchange, const Digest& state);

}  // namespace concordat::site
