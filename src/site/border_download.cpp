#include "site/border_download.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/exact/lanes.hpp"
#include "concordat/site/errors.hpp"

namespace concordat::site {
namespace {

using border::BlockPlace;
using border::BlockVector;

constexpr std::uint64_t digest_bytes = 32;

std::unique_ptr<File> open_or_create(FileSystem& fs, const FileSystem::Path& path) {
  return fs.open(path, fs.exists(path) ? OpenMode::read_write : OpenMode::create_exclusive);
}

std::uint64_t offset_of(const border::FrameTable& table, const BlockPlace& place) {
  if (place.vector == BlockVector::weight) return 0;
  return place.index * table.vectors[static_cast<std::size_t>(BlockVector::update)].block_bytes;
}

}  // namespace

AggregateFile::AggregateFile(RunFolder& folder, const federation::ExchangeTerms& terms,
                             const border::FrameTable& table, std::uint32_t num_added,
                             std::uint64_t at_most)
    : folder_(folder), terms_(terms), table_(table), num_added_(num_added) {
  FileSystem& fs = folder_.files();
  fs.make_directories(folder_.inbox(terms_.exchange));
  blocks_ = open_or_create(fs, folder_.aggregate_blocks(terms_.exchange));
  weight_ = open_or_create(fs, folder_.aggregate_weight(terms_.exchange));
  leaves_ = open_or_create(fs, folder_.aggregate_leaves(terms_.exchange));
  resume(at_most);
}

// The leaves are worked out again from the bytes that are there, so a torn write shows at the
// latest in the root.
void AggregateFile::resume(std::uint64_t at_most) {
  while (position_ < std::min(at_most, table_.num_leaves())) {
    BlockPlace place = table_.place(position_);
    File& file = place.vector == BlockVector::weight ? *weight_ : *blocks_;
    Bytes bytes(table_.block_bytes(place));
    if (file.size() < offset_of(table_, place) + bytes.size()) return;
    file.read_at(offset_of(table_, place), bytes);
    try {
      check_range(place, bytes);
    } catch (const Error&) {
      return;  // a torn block; it is fetched again
    }
    note(place, bytes, border::block_leaf(place, bytes));
  }
}

void AggregateFile::check_range(const BlockPlace& place, ByteView bytes) const {
  if (place.vector == BlockVector::weight) {
    std::uint64_t most = num_added_ * std::uint64_t{terms_.weight_cap};
    exact::check_range(exact::Lane::u32, bytes, most, 0);
    return;
  }
  exact::check_range(terms_.quantiser.lane, bytes,
                     exact::max_sum(num_added_, terms_.quantiser.bits),
                     place.index << terms_.block_log2);
}

void AggregateFile::note(const BlockPlace& place, ByteView bytes, const Digest& leaf) {
  leaves_->write_at(position_ * digest_bytes, leaf.view());
  tree_.add(leaf);
  if (place.vector == BlockVector::weight) total_weight_ = ByteReader(bytes, "weight").u32();
  ++position_;
}

void AggregateFile::put(const border::OpenedBlock& block) {
  CONCORDAT_REQUIRE(position_ < table_.num_leaves(), std::to_string(position_));
  BlockPlace next = table_.place(position_);
  if (block.place != next || block.bytes.size() != table_.block_bytes(next)) {
    throw Error(concordat::errors::malformed, {.what = "a block of the aggregate is out of order",
                                               .where = "exchange " + terms_.exchange.text(),
                                               .found = block.place.text(),
                                               .expected = next.text(),
                                               .remedy = "the coordinator runs another version"});
  }
  check_range(block.place, block.bytes);
  File& file = next.vector == BlockVector::weight ? *weight_ : *blocks_;
  file.write_at(offset_of(table_, next), block.bytes);
  note(next, block.bytes, block.leaf);
}

federation::AggregateStored AggregateFile::finish() {
  CONCORDAT_REQUIRE(position_ == table_.num_leaves(), std::to_string(position_));
  for (File* file : {blocks_.get(), weight_.get(), leaves_.get()}) file->sync();
  FileSystem& fs = folder_.files();
  fs.sync_directory(folder_.inbox(terms_.exchange));
  Digest root = tree_.root();
  if (root != table_.root) {
    fs.remove(folder_.aggregate_blocks(terms_.exchange));
    fs.remove(folder_.aggregate_weight(terms_.exchange));
    fs.remove(folder_.aggregate_leaves(terms_.exchange));
    throw Error(errors::block_digest,
                {.what = "the aggregate on disk is not the one that was announced",
                 .where = folder_.inbox(terms_.exchange).string(),
                 .found = root.hex(),
                 .expected = table_.root.hex(),
                 .remedy = "start the border again; it fetches the aggregate anew"});
  }
  return {root, total_weight_};
}

}  // namespace concordat::site
