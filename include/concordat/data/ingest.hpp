// ingest_documents: turns a folder of UTF-8 text files (*.txt, one document each, subfolders too),
// or the token files of another trainer, into an encrypted dataset. It prints nothing and writes no
// ledger: `governance` does, from the manifest that it returns.
//
//   DatasetManifest done = ingest_documents(fs, {.name = "german", .source = "corpus/de",
//       .folder = "alba/data/german", .validation_permille = 50}, data_key.view(), random);
//   done.num_documents;  done.num_duplicates;  done.digest();
//
// Deterministic in everything but the encryption: documents in the order of their paths, exact
// duplicates (SHA-256) dropped after the first, the split a function of the content alone, so a
// document stays on its side when others come or go. The folder appears complete or not at all
// (written beside it and renamed). No plaintext is written, not even to temporary files.
// Failure: Error(not_utf8 | empty_corpus | unknown_source | bad_tokens |
// unsupported_tokenizer | already_exists | disk_full). Memory:
// one document, one chunk, and about 150 bytes for each document.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "concordat/crypto/random.hpp"
#include "concordat/data/manifest.hpp"

namespace concordat::data {

/// What a source holds. Token files are read as their makers wrote them: llm.c's with its header,
/// nanoGPT's 16-bit ids alone, Megatron's NAME.bin with NAME.idx (docs/formats/interop.md).
enum class SourceFormat { text, llmc, nanogpt, megatron };

struct IngestOptions {
  std::string name;                         ///< of the dataset; as a site's name
  FileSystem::Path source;                  ///< folder of *.txt
  FileSystem::Path folder;                  ///< dataset folder to make; must not exist
  std::uint32_t validation_permille = 50;   ///< 0 to 500 of a thousand documents, by hash
  std::uint64_t shard_tokens = 64U << 20U;  ///< a new shard begins beyond this
  /// Called after each document with (documents read, bytes read), for a progress line.
  std::function<void(std::uint64_t, std::uint64_t)> progress{};
  SourceFormat format = SourceFormat::text;
  FileSystem::Path tokenizer{};  ///< file of a tokenizer for text; empty: bytes
  /// Ids of token files, where their format does not say or says otherwise; `separator` also of a
  /// tokenizer's file.
  std::optional<std::uint32_t> vocabulary{};
  std::optional<std::uint32_t> separator{};
};

DatasetManifest ingest_documents(FileSystem& fs, const IngestOptions& options, ByteView data_key,
                                 crypto::SecureRandom& random);

/// Which side a document with this digest falls on.
Split split_of(const Digest& content, std::uint32_t validation_permille);

}  // namespace concordat::data
