// DatasetManifest: what one ingest wrote, as a small text file `dataset` beside the shards, with a
// MAC under the site's data key. It holds counts and digests of sealed bytes, nothing of the text.
//
//   DatasetManifest m = load_manifest(fs, "data/german", data_key.view());
//   m.shards[0].digest;  m.digest();                 // the digest goes into the ledger
#pragma once

#include <string>
#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/data/token_shard.hpp"

namespace concordat::data {

struct DatasetManifest {
  std::string name;
  std::uint64_t num_documents = 0;   ///< kept, both splits
  std::uint64_t num_duplicates = 0;  ///< dropped: same bytes as an earlier document
  std::uint64_t num_empty = 0;       ///< dropped: no bytes at all
  std::uint64_t num_bytes = 0;       ///< of the kept documents' text; 0 where tokens were given
  std::uint32_t validation_permille = 0;
  Vocabulary vocabulary{};
  std::vector<ShardInfo> shards;  ///< train first, then validation, by number

  std::uint64_t num_tokens(Split split) const;
  /// The exact text of the file, without the MAC line.
  std::string text() const;
  /// SHA-256 of text().
  Digest digest() const;
};

void save_manifest(FileSystem& fs, const FileSystem::Path& folder, const DatasetManifest& manifest,
                   ByteView data_key);
/// @throws Error(shard_damaged) for an edited, cut or foreign manifest; not_found.
DatasetManifest load_manifest(FileSystem& fs, const FileSystem::Path& folder, ByteView data_key);

/// The tokenizer of a dataset: the file that ingest kept beside the shards.
/// @throws Error(vocabulary_differs) if that file is another one by now, or if the dataset was made
/// of given ids and nobody knows their tokenizer.
std::unique_ptr<Tokenizer> tokenizer_of(FileSystem& fs, const FileSystem::Path& folder,
                                        const DatasetManifest& manifest);

/// The dataset's ids mean what the run's ids mean (`tokenizer` is a Vocabulary::id), and fit the
/// model. @throws Error(vocabulary_differs).
void require_vocabulary(const DatasetManifest& dataset, const std::string& tokenizer,
                        std::int64_t model_vocabulary);

/// Recomputes SHA-256 of every shard's file; needs no key. @throws Error(shard_damaged).
void verify_shard_files(FileSystem& fs, const FileSystem::Path& folder,
                        const DatasetManifest& manifest);

}  // namespace concordat::data
