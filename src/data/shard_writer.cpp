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
  std::uint64_t num_tokens = 0;
  std::uint64_t num_documents = 0;
  ByteWriter index;
};

ShardWriter::ShardWriter(FileSystem& fs, const FileSystem::Path& folder, ShardId id,
                         ByteView data_key, crypto::SecureRandom& random) {
  CONCORDAT_REQUIRE(id.number < max_shards, std::to_string(id.number));
  crypto::SealedFileWriter file(fs, folder / id.file_name(), data_key, purpose_of(id), random);
  state_.reset(new State{std::move(id), std::move(file), 0, 0, {}});
  ByteWriter header;
  header.raw(as_bytes(shard_magic));
  header.u32(vocabulary_size);
  header.u32(token_bytes);
  state_->file.write(header.bytes());
}

ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;
ShardWriter& ShardWriter::operator=(ShardWriter&&) noexcept = default;
ShardWriter::~ShardWriter() = default;

void ShardWriter::add(ByteView text, const Digest& content) {
  CONCORDAT_REQUIRE(!text.empty(), "an empty document");
  Bytes tokens(token_bytes * (text.size() + 1));
  for (std::size_t i = 0; i < text.size(); ++i) tokens[2 * i] = text[i];
  tokens[2 * text.size()] = static_cast<std::uint8_t>(separator_token & 0xffU);
  tokens[2 * text.size() + 1] = static_cast<std::uint8_t>(separator_token >> 8U);
  state_->file.write(tokens);
  state_->index.u64(state_->num_tokens);
  state_->index.u64(text.size());
  state_->index.digest(content);
  state_->num_tokens += text.size() + 1;
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
