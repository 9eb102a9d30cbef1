#include "concordat/data/dataset.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/exact/philox.hpp"
#include "data/shard_layout.hpp"
#include "data/shuffle.hpp"

namespace concordat::data {

Dataset Dataset::open(FileSystem& fs, const FileSystem::Path& folder, ByteView data_key,
                      Split split, std::uint64_t seed) {
  if (!fs.exists(folder)) {
    throw Error(concordat::errors::not_found,
                {.what = "there is no dataset of this name",
                 .where = folder.lexically_normal().string(),
                 .found = "no such folder",
                 .expected = "what 'concordat ingest --name " + folder.filename().string() +
                             "' leaves there",
                 .remedy = "correct data.datasets, or ingest the dataset first"});
  }
  Dataset set;
  set.manifest_ = load_manifest(fs, folder, data_key);
  set.seed_ = seed;
  for (const ShardInfo& shard : set.manifest_.shards) {
    if (shard.id.split != split) continue;
    set.shards_.emplace_back(fs, folder, shard.id, data_key, set.manifest_.vocabulary);
    const ShardReader& reader = set.shards_.back();
    if (reader.num_tokens() != shard.num_tokens || reader.num_documents() != shard.num_documents) {
      fail_shard(folder / shard.id.file_name(), "a shard is not the one of the manifest",
                 std::to_string(reader.num_tokens()) + " tokens",
                 std::to_string(shard.num_tokens) + " tokens");
    }
    set.begins_.push_back(set.num_tokens_);
    set.num_tokens_ += reader.num_tokens();
    set.num_documents_ += reader.num_documents();
  }
  if (set.num_tokens_ == 0) {
    throw Error(errors::empty_corpus,
                {.what = "a split of the dataset has no documents",
                 .where = folder.string() + ", split " + std::string(name_of(split)),
                 .found = "0 tokens",
                 .expected = "at least one document",
                 .remedy = "ingest again with more documents or another validation share"});
  }
  return set;
}

void Dataset::read(std::uint64_t begin, std::span<std::int32_t> out) {
  CONCORDAT_REQUIRE(out.size() <= num_tokens_ && begin <= num_tokens_ - out.size(),
                    std::to_string(begin) + " + " + std::to_string(out.size()));
  std::vector<Token> tokens;
  while (!out.empty()) {
    auto next = std::upper_bound(begins_.begin(), begins_.end(), begin);
    std::size_t shard = static_cast<std::size_t>(next - begins_.begin()) - 1;
    std::uint64_t at = begin - begins_[shard];
    tokens.resize(std::min<std::uint64_t>(out.size(), shards_[shard].num_tokens() - at));
    shards_[shard].read(at, tokens);
    std::copy(tokens.begin(), tokens.end(), out.begin());
    out = out.subspan(tokens.size());
    begin += tokens.size();
  }
}

std::uint64_t Dataset::num_windows(std::uint64_t length) const {
  CONCORDAT_REQUIRE(length > 0, "a window of no tokens");
  return (num_tokens_ - 1) / length;
}

std::vector<std::int32_t> Dataset::window(std::uint64_t i, std::uint64_t length) {
  CONCORDAT_REQUIRE(i < num_windows(length), std::to_string(i));
  std::vector<std::int32_t> tokens(length + 1);
  read(i * length, tokens);
  return tokens;
}

std::uint64_t Dataset::sample_begin(std::uint64_t global_index, std::uint64_t length) const {
  const std::uint64_t windows = num_windows(length);
  if (windows == 0) {
    throw Error(errors::too_short, {.what = "the dataset is shorter than one training window",
                                    .where = "dataset " + manifest_.name,
                                    .found = std::to_string(num_tokens_) + " tokens",
                                    .expected = "at least " + std::to_string(length + 1),
                                    .remedy = "ingest more text or shorten the sequence"});
  }
  // One window fewer makes room for a shift of up to a window, so that epochs cut the text at
  // different places.
  const std::uint64_t per_epoch = std::max<std::uint64_t>(1, windows - 1);
  const std::uint64_t room = num_tokens_ - 1 - per_epoch * length;
  const std::uint64_t epoch = global_index / per_epoch;
  const Shuffle shuffle(seed_, epoch, per_epoch);
  const std::uint64_t shift = shuffle.shift(std::min(room + 1, length));
  return shift + shuffle.position(global_index % per_epoch) * length;
}

std::vector<std::int32_t> Dataset::sample(std::uint64_t global_index, std::uint64_t length) {
  std::vector<std::int32_t> tokens(length + 1);
  read(sample_begin(global_index, length), tokens);
  return tokens;
}

}  // namespace concordat::data
