// AggregateFile: the aggregate on its way into the inbox, block by block, in order of position.
//
//   AggregateFile file(folder, terms, table);       // goes on from what an earlier process wrote
//   while (file.position() < table.num_leaves()) road.fetch_blocks(..., file.put(opener.open(w)));
//   AggregateStored stored = file.finish();         // durable; ranges and root are checked
//
// Every block's range is checked when it is written, and again when it is found by a restart.
// Memory: one block. Threads: one.
#pragma once

#include "concordat/border/frames.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/federation/events.hpp"
#include "concordat/federation/terms.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

class AggregateFile {
 public:
  /// `num_added`: uploads in the sum, which bound it. `at_most`: blocks of those found in the files
  /// that it goes on from; the others are written again.
  AggregateFile(RunFolder& folder, const federation::ExchangeTerms& terms,
                const border::FrameTable& table, std::uint32_t num_added,
                std::uint64_t at_most = ~std::uint64_t{0});
  /// Blocks that are in the files.
  std::uint64_t position() const { return position_; }
  /// The next block. @throws Error(exact.sum_out_of_range | malformed).
  void put(const border::OpenedBlock& block);
  /// Makes everything durable. @pre position() == table.num_leaves().
  /// @throws Error(site.block_digest) after removing files that do not lead to the signed root:
  /// a restart fetches them anew.
  federation::AggregateStored finish();

 private:
  void resume(std::uint64_t at_most);
  void check_range(const border::BlockPlace& place, ByteView bytes) const;
  void note(const border::BlockPlace& place, ByteView bytes, const Digest& leaf);

  RunFolder& folder_;
  federation::ExchangeTerms terms_;
  border::FrameTable table_;
  std::uint32_t num_added_;
  std::unique_ptr<File> blocks_;
  std::unique_ptr<File> weight_;
  std::unique_ptr<File> leaves_;
  crypto::MerkleBuilder tree_;
  std::uint64_t position_ = 0;
  std::uint64_t total_weight_ = 0;
};

}  // namespace concordat::site
