// Token shards: encrypted files of documents as tokens with an index of the documents. A token has
// 16 bits, or 32 where the vocabulary is larger than 65,536.
// Format: docs/formats/token-shard.md. The bytes on disk are a sealed file (crypto).
//
//   ShardWriter out(fs, "data/german", {"german", Split::train, 0}, data_key.view(), random);
//   out.add(encode(text), sha256(text));           // one document; a separator follows it
//   ShardInfo info = out.finish();                 // durable
//   ShardReader in(fs, "data/german", {"german", Split::train, 0}, data_key.view());
//   in.read(1000, tokens);                         // tokens 1000, 1001, ...
//
// The identity (dataset, split, number) is authenticated: a shard renamed to another's place does
// not open. Failure: Error(shard_damaged) naming shard and chunk. Threads: one at a time per
// object.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "concordat/core/file.hpp"
#include "concordat/crypto/random.hpp"
#include "concordat/data/tokenizer.hpp"

namespace concordat::data {

enum class Split : std::uint8_t { train = 0, validation = 1 };
std::string_view name_of(Split split);

struct ShardId {
  std::string dataset;
  Split split = Split::train;
  std::uint32_t number = 0;
  /// "train-0000.tok"
  std::string file_name() const;
};

struct ShardInfo {
  ShardId id;
  std::uint64_t num_documents = 0;
  std::uint64_t num_tokens = 0;  ///< with separators
  Digest digest;                 ///< of the file's (sealed) bytes
};

struct DocumentEntry {
  std::uint64_t begin = 0;  ///< first token, counted in the shard
  std::uint64_t size = 0;   ///< tokens without the separator
  Digest content;           ///< SHA-256 of the text, or of given tokens as u32
};

class ShardWriter {
 public:
  ShardWriter(FileSystem& fs, const FileSystem::Path& folder, ShardId id, ByteView data_key,
              crypto::SecureRandom& random, const Vocabulary& vocabulary = {});
  ShardWriter(ShardWriter&&) noexcept;
  ShardWriter& operator=(ShardWriter&&) noexcept;
  ~ShardWriter();
  /// @pre not empty. @throws Error(bad_tokens) for an id beyond the vocabulary, or the separator.
  void add(std::span<const Token> tokens, const Digest& content);
  std::uint64_t num_tokens() const;
  ShardInfo finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ShardReader {
 public:
  /// @throws Error(shard_damaged) also when the shard was written for another vocabulary.
  ShardReader(FileSystem& fs, const FileSystem::Path& folder, const ShardId& id, ByteView data_key,
              const Vocabulary& vocabulary = {});
  ShardReader(ShardReader&&) noexcept;
  ShardReader& operator=(ShardReader&&) noexcept;
  ~ShardReader();
  std::uint64_t num_tokens() const;
  std::uint64_t num_documents() const;
  /// @pre index < num_documents().
  DocumentEntry document(std::uint64_t index);
  /// @pre begin + out.size() <= num_tokens().
  void read(std::uint64_t begin, std::span<Token> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace concordat::data
