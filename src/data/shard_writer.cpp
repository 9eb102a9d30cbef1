#include <cstdio>

#include "concordat/core/error.hpp"
#include "concordat/crypto/sealed_file.hpp"
#include "concordat/data/token_shard.hpp"
#include "data/shard_layout.hpp"

namespace concordat::data {

std::string_view name_of(Split split) { return split == Split::train ? "train" : "validation"; }

std::string ShardId::file_name() const {
  char digits[16];
  std::snprintf(digits, sizeof digits, "-%04u.tok", number);
  return std::string(name_of(split)) + digits;
}

struct ShardWriter::State {
  ShardId id;
  crypto::SealedFileWriter file;
  Vocabulary vocabulary;
  std::uint64_t num_tokens = 0;
  std::uint64_t num_documents = 0;
  ByteWriter index;
};

ShardWriter::ShardWriter(FileSystem& fs, const FileSystem::Path& folder, ShardId id,
                         ByteView data_key, crypto::SecureRandom& random,
                         const Vocabulary& vocabulary) {
  CONCORDAT_REQUIRE(id.number < max_shards, std::to_string(id.number));
  crypto::SealedFileWriter file(fs, folder / id.file_name(), data_key, purpose_of(id), random);
  state_.reset(new State{std::move(id), std::move(file), vocabulary, 0, 0, {}});
  ByteWriter header;
  header.raw(as_bytes(magic_of(vocabulary)));
  header.u32(vocabulary.size);
  header.u32(vocabulary.token_bytes());
  state_->file.write(header.bytes());
}

ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;
ShardWriter& ShardWriter::operator=(ShardWriter&&) noexcept = default;
ShardWriter::~ShardWriter() = default;

void ShardWriter::add(std::span<const Token> tokens, const Digest& content) {
  CONCORDAT_REQUIRE(!tokens.empty(), "an empty document");
  const Vocabulary& vocabulary = state_->vocabulary;
  ByteWriter out;
  const auto write = [&](std::uint32_t token) {
    if (vocabulary.token_bytes() == 2) {
      out.u16(static_cast<std::uint16_t>(token));
    } else {
      out.u32(token);
    }
  };
  for (const Token token : tokens) {
    // A separator inside a document would make two of it.
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary.size ||
        static_cast<std::uint32_t>(token) == vocabulary.separator) {
      throw Error(
          errors::bad_tokens,
          {.what = "a document holds an id that is no token of text",
           .where = state_->id.dataset,
           .found = std::to_string(token),
           .expected = "an id below " + std::to_string(vocabulary.size) +
                       " that is not the separator " + std::to_string(vocabulary.separator),
           .remedy = "give the vocabulary and the separator that the tokens were made with"});
    }
    write(static_cast<std::uint32_t>(token));
  }
  write(vocabulary.separator);
  state_->file.write(out.bytes());
  state_->index.u64(state_->num_tokens);
  state_->index.u64(tokens.size());
  state_->index.digest(content);
  state_->num_tokens += tokens.size() + 1;
  ++state_->num_documents;
}

std::uint64_t ShardWriter::num_tokens() const { return state_->num_tokens; }

ShardInfo ShardWriter::finish() {
  ByteWriter trailer;
  trailer.u64(state_->num_tokens);
  trailer.u64(state_->num_documents);
  trailer.raw(as_bytes(shard_end_magic));
  state_->file.write(state_->index.bytes());
  state_->file.write(trailer.bytes());
  Digest digest = state_->file.finish();
  return {state_->id, state_->num_documents, state_->num_tokens, digest};
}

}  // namespace concordat::data
