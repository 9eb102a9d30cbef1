#include "site/border_upload.hpp"

#include "concordat/core/error.hpp"
#include "concordat/site/errors.hpp"

namespace concordat::site {

using border::BlockPlace;
using border::BlockVector;

CommittedBlocks::CommittedBlocks(RunFolder& folder, const federation::ExchangeTerms& terms,
                                 const Digest& manifest, const Digest& state,
                                 FileSystem::Path tree_file)
    : folder_(folder), exchange_(terms.exchange) {
  auto commit = folder.read_commit(exchange_);
  if (!commit) {
    throw Error(
        errors::bad_run_file,
        {.what = "the update that this site committed is gone",
         .where = folder.outbox(exchange_).string(),
         .found = "no COMMIT, and a journal that took one",
         .expected = "COMMIT and the masked blocks that it names",
         .remedy = "restore the run folder: nothing is masked twice, so no state of another "
                   "site can replace them, and the round cannot end without this site"});
  }
  commit_ = std::move(*commit);
  check(terms, manifest, state);
  border::LeafTreeWriter writer(folder.files(), tree_file);
  for (const Digest& leaf : commit_.leaves) writer.add(leaf);
  writer.add(commit_.weight_leaf);
  table_ = terms.table(writer.finish());
  tree_ = std::make_unique<border::LeafTree>(folder.files(), tree_file, table_.num_leaves());
  commit_.leaves.clear();
  commit_.leaves.shrink_to_fit();
}

void CommittedBlocks::check(const federation::ExchangeTerms& terms, const Digest& manifest,
                            const Digest& state) {
  auto demand = [&](bool good, const char* what, std::string found, std::string expected) {
    if (good) return;
    throw Error(errors::bad_run_file,
                {.what = std::string("COMMIT has another ") + what,
                 .where = (folder_.outbox(exchange_) / "COMMIT").string(),
                 .found = std::move(found),
                 .expected = std::move(expected),
                 .remedy = "the training job and the border must use one agreement"});
  };
  demand(commit_.manifest == manifest, "manifest", commit_.manifest.hex(), manifest.hex());
  demand(commit_.state_digest == state, "state", commit_.state_digest.hex(), state.hex());
  demand(commit_.lane == terms.quantiser.lane, "lane",
         std::to_string(static_cast<int>(commit_.lane)),
         std::to_string(static_cast<int>(terms.quantiser.lane)));
  demand(commit_.block_log2 == static_cast<int>(terms.block_log2), "block size",
         std::to_string(commit_.block_log2), std::to_string(terms.block_log2));
  demand(commit_.num_elements == terms.num_elements, "number of elements",
         std::to_string(commit_.num_elements), std::to_string(terms.num_elements));
  std::uint64_t num_blocks =
      terms.table({}).vectors[static_cast<std::size_t>(BlockVector::update)].num_blocks;
  demand(commit_.leaves.size() == num_blocks, "number of blocks",
         std::to_string(commit_.leaves.size()), std::to_string(num_blocks));
  std::uint64_t next = 0;
  for (const BlockRange& range : commit_.ranges) {
    demand(range.begin == next && range.end >= range.begin, "division among ranks",
           std::to_string(range.begin), std::to_string(next));
    next = range.end;
  }
  demand(next == num_blocks, "division among ranks", std::to_string(next),
         std::to_string(num_blocks));
}

Bytes CommittedBlocks::read(const BlockPlace& place) {
  Bytes bytes(table_.block_bytes(place));
  if (place.vector == BlockVector::weight) {
    auto file =
        folder_.files().open(folder_.weight_file(exchange_, commit_.try_nonce), OpenMode::read);
    file->read_at(0, bytes);
    return bytes;
  }
  int rank = 0;
  while (place.index >= commit_.ranges[static_cast<std::size_t>(rank)].end) ++rank;
  if (rank != open_rank_) {
    file_ = folder_.files().open(folder_.blocks_file(exchange_, commit_.try_nonce, rank),
                                 OpenMode::read);
    open_rank_ = rank;
  }
  std::uint64_t whole = table_.vectors[static_cast<std::size_t>(BlockVector::update)].block_bytes;
  std::uint64_t begin = commit_.ranges[static_cast<std::size_t>(rank)].begin;
  file_->read_at((place.index - begin) * whole, bytes);
  return bytes;
}

std::vector<Digest> CommittedBlocks::path(const BlockPlace& place) {
  return tree_->path(table_.position(place));
}

}  // namespace concordat::site
