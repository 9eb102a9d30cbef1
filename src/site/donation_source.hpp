// DonationSource: what a donor reads its state from: one of its generations, and its inbox.
//
//   DonationSource source(folder, shape, closed, scales_per_block);
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
  /// @throws Error(site.nothing_to_give) if no generation holds the state of that exchange or the
  /// inbox has not its sum; Error(site.state_refused) if they are not what the participants signed.
  DonationSource(RunFolder& folder, const StateShape& shape, const ClosedExchange& closed,
                 std::vector<std::uint32_t> scales_per_block);
  const StateContents& contents() const { return contents_; }
  Bytes piece(std::uint32_t position);

 private:
  Bytes read(std::uint32_t position);
  std::uint64_t first_scale(std::uint64_t block) const;

  StateShape shape_;
  StateContents contents_;
  std::unique_ptr<File> state_;
  std::unique_ptr<File> sums_;
  std::vector<std::uint64_t> offsets_{};  ///< in state_, by vector
};

/// The newest generation that holds the state of this exchange; empty if there is none.
std::string generation_of(FileSystem& fs, const FileSystem::Path& checkpoints,
                          const ExchangeId& exchange, const Digest& state);

}  // namespace concordat::site
