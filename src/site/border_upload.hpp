// CommittedBlocks: the masked blocks that COMMIT fixed, as the ranks wrote them.
//
//   CommittedBlocks blocks(folder, terms, journal / "upload.tree");   // checks COMMIT, builds tree
//   FrameTable table = blocks.table();
//   Envelope frame = sealer.seal(place, blocks.read(place), blocks.path(place));
//
// Memory: one block and the list of leaves while the tree is built. Threads: one.
#pragma once

#include "concordat/border/leaf_tree.hpp"
#include "concordat/federation/terms.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

class CommittedBlocks {
 public:
  /// Reads COMMIT and checks it against the terms, the locked manifest and the state of our ready.
  /// @throws Error(site.bad_run_file) naming what differs.
  CommittedBlocks(RunFolder& folder, const federation::ExchangeTerms& terms, const Digest& manifest,
                  const Digest& state, FileSystem::Path tree_file);

  const CommitRecord& commit() const { return commit_; }
  const border::FrameTable& table() const { return table_; }
  Bytes read(const border::BlockPlace& place);
  std::vector<Digest> path(const border::BlockPlace& place);

 private:
  void check(const federation::ExchangeTerms& terms, const Digest& manifest, const Digest& state);

  RunFolder& folder_;
  ExchangeId exchange_;
  CommitRecord commit_;
  border::FrameTable table_;
  std::unique_ptr<border::LeafTree> tree_;
  std::unique_ptr<File> file_;  ///< of rank open_rank_
  int open_rank_ = -1;
};

}  // namespace concordat::site
