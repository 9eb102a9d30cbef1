// Dataset: all shards of one split as one sequence of tokens, and the windows that training reads.
//
//   Dataset train = Dataset::open(fs, "data/german", data_key.view(), Split::train, seed);
//   std::vector<std::int32_t> window = train.sample(global_index, 128);   // 129 tokens
//   Dataset held_out = Dataset::open(fs, "data/german", data_key.view(), Split::validation, 0);
//   for (uint64_t i = 0; i < held_out.num_windows(128); ++i) held_out.window(i, 128);
//
// sample() depends on (seed, index, length) and the shards alone, never on earlier calls, ranks or
// threads: an epoch is a permutation of the windows, shifted by an offset of its own, so each epoch
// sees every window once (but one, which makes room for the shift). Inputs are tokens 0..length-1
// of a window, targets 1..length.
// Threads: one at a time per object. Cost of a window: one or two chunks opened (about 50 us each).
#pragma once

#include <cstdint>
#include <vector>

#include "concordat/data/manifest.hpp"
#include "concordat/data/token_shard.hpp"

namespace concordat::data {

class Dataset {
 public:
  /// @throws Error(shard_damaged | empty_corpus | not_found).
  static Dataset open(FileSystem& fs, const FileSystem::Path& folder, ByteView data_key,
                      Split split, std::uint64_t seed);

  const DatasetManifest& manifest() const { return manifest_; }
  std::uint64_t num_tokens() const { return num_tokens_; }
  std::uint64_t num_documents() const { return num_documents_; }
  /// Tokens begin .. begin + out.size() - 1, across shards. @pre they exist.
  void read(std::uint64_t begin, std::span<std::int32_t> out);

  /// Windows of length + 1 tokens that overlap in one token: (num_tokens - 1) / length.
  std::uint64_t num_windows(std::uint64_t length) const;
  /// The i-th of them in order, for validation. @pre i < num_windows(length).
  std::vector<std::int32_t> window(std::uint64_t i, std::uint64_t length);
  /// Training window `global_index` (any value). @throws Error(too_short).
  std::vector<std::int32_t> sample(std::uint64_t global_index, std::uint64_t length);
  /// Where that window begins; what data order means, without reading.
  std::uint64_t sample_begin(std::uint64_t global_index, std::uint64_t length) const;

 private:
  Dataset() = default;
  DatasetManifest manifest_;
  std::vector<ShardReader> shards_;
  std::vector<std::uint64_t> begins_;  ///< first token of each shard in the whole sequence
  std::uint64_t num_tokens_ = 0;
  std::uint64_t num_documents_ = 0;
  std::uint64_t seed_ = 0;
};

}  // namespace concordat::data
