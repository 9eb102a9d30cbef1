#include "concordat/data/ingest.hpp"

#include <optional>
#include <set>

#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/key_files.hpp"
#include "data/document_source.hpp"
#include "data/shard_layout.hpp"

namespace concordat::data {
namespace {

using Path = FileSystem::Path;

/// The shards of one split; a new one begins when the last is full.
class SplitWriter {
 public:
  SplitWriter(FileSystem& fs, const IngestOptions& options, const Path& folder, Split split,
              ByteView data_key, crypto::SecureRandom& random, const Vocabulary& vocabulary)
      : fs_(fs),
        options_(options),
        folder_(folder),
        split_(split),
        data_key_(data_key),
        random_(random),
        vocabulary_(vocabulary) {}

  void add(std::span<const Token> tokens, const Digest& content) {
    if (shard_ && shard_->num_tokens() >= options_.shard_tokens) close();
    if (!shard_) {
      ShardId id{options_.name, split_, static_cast<std::uint32_t>(done_.size())};
      shard_.emplace(fs_, folder_, std::move(id), data_key_, random_, vocabulary_);
    }
    shard_->add(tokens, content);
  }
  void close() {
    if (!shard_) return;
    done_.push_back(shard_->finish());
    shard_.reset();
  }
  const std::vector<ShardInfo>& done() const { return done_; }

 private:
  FileSystem& fs_;
  const IngestOptions& options_;
  const Path& folder_;
  Split split_;
  ByteView data_key_;
  crypto::SecureRandom& random_;
  const Vocabulary& vocabulary_;
  std::optional<ShardWriter> shard_;
  std::vector<ShardInfo> done_;
};

void require_not_empty(const IngestOptions& options, std::uint64_t tokens, Split split) {
  if (tokens > 0) return;
  throw Error(errors::empty_corpus,
              {.what = "no document fell into the split " + std::string(name_of(split)),
               .where = options.source.string(),
               .found = "0 documents",
               .expected = "at least one, by the hash of its content",
               .remedy = "add documents or change the validation share (now " +
                         std::to_string(options.validation_permille) + " of 1000)"});
}

DatasetManifest write_shards(FileSystem& fs, const IngestOptions& options, const Path& staging,
                             ByteView data_key, crypto::SecureRandom& random) {
  auto source = open_source(fs, options);
  DatasetManifest manifest;
  manifest.name = options.name;
  manifest.validation_permille = options.validation_permille;
  manifest.vocabulary = source->vocabulary();
  SplitWriter train(fs, options, staging, Split::train, data_key, random, manifest.vocabulary);
  SplitWriter validation(fs, options, staging, Split::validation, data_key, random,
                         manifest.vocabulary);
  std::set<Digest> seen;
  std::uint64_t documents_read = 0;
  Document document;
  while (source->next(document)) {
    if (options.progress) options.progress(++documents_read, source->bytes_read());
    if (document.empty()) {
      ++manifest.num_empty;
    } else if (!seen.insert(document.content).second) {
      ++manifest.num_duplicates;
    } else {
      const std::vector<Token> tokens = source->tokens(document);
      if (tokens.empty()) {  // text that a tokenizer makes nothing of
        ++manifest.num_empty;
        continue;
      }
      ++manifest.num_documents;
      manifest.num_bytes += document.text.size();
      bool held_out = split_of(document.content, options.validation_permille) == Split::validation;
      (held_out ? validation : train).add(tokens, document.content);
    }
  }
  if (!options.tokenizer.empty()) {
    create_atomically(fs, staging / tokenizer_file(manifest.vocabulary.kind),
                      read_file(fs, options.tokenizer));
  }
  train.close();
  validation.close();
  manifest.shards = train.done();
  manifest.shards.insert(manifest.shards.end(), validation.done().begin(), validation.done().end());
  require_not_empty(options, manifest.num_tokens(Split::train), Split::train);
  if (options.validation_permille > 0) {
    require_not_empty(options, manifest.num_tokens(Split::validation), Split::validation);
  }
  return manifest;
}

}  // namespace

Split split_of(const Digest& content, std::uint32_t validation_permille) {
  // Hashed once more with a label, so that the side says nothing about the digest's first bytes.
  Digest side =
      crypto::Sha256().update(as_bytes("concordat/split/v1")).update(content.view()).finish();
  std::uint64_t number = ByteReader(side.view(), "split").u64();
  return number % 1000 < validation_permille ? Split::validation : Split::train;
}

DatasetManifest ingest_documents(FileSystem& fs, const IngestOptions& options, ByteView data_key,
                                 crypto::SecureRandom& random) {
  crypto::require_site_name(options.name, "dataset name");
  CONCORDAT_REQUIRE(options.validation_permille <= 500,
                    std::to_string(options.validation_permille));
  CONCORDAT_REQUIRE(options.shard_tokens > 0, "0");
  const bool text = options.format == SourceFormat::text;
  if ((text && options.vocabulary) || (!text && !options.tokenizer.empty()) ||
      (text && options.separator && options.tokenizer.empty())) {
    throw Error(concordat::errors::usage,
                {.what = "options that do not go together",
                 .where = "dataset " + options.name,
                 .found = text ? "a vocabulary or separator for text without a tokenizer"
                               : "a tokenizer for files that hold ids already",
                 .expected = "a tokenizer (and its separator) for text, a vocabulary and a "
                             "separator for token files",
                 .remedy = "leave out what does not belong to the source's format"});
  }
  if (fs.exists(options.folder)) {
    throw Error(concordat::errors::already_exists,
                {.what = "the dataset is there already",
                 .where = options.folder.string(),
                 .found = "a folder",
                 .expected = "none: a dataset is written once",
                 .remedy = "choose another name, or remove the old dataset first"});
  }
  Path staging = options.folder;
  staging += ".new";
  fs.remove_all(staging);
  fs.make_directories(staging);
  try {
    DatasetManifest manifest = write_shards(fs, options, staging, data_key, random);
    save_manifest(fs, staging, manifest, data_key);
    fs.rename(staging, options.folder);
    fs.sync_directory(options.folder.has_parent_path() ? options.folder.parent_path() : Path("."));
    return manifest;
  } catch (...) {
    try {
      fs.remove_all(staging);  // sealed bytes of a half dataset are of no use to anybody
    } catch (...) {
    }
    throw;
  }
}

}  // namespace concordat::data
