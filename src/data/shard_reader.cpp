#include <optional>

#include "concordat/core/error.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/sealed_file.hpp"
#include "concordat/data/token_shard.hpp"
#include "data/shard_layout.hpp"

namespace concordat::data {
namespace {

/// Runs `read`; damage that the sealed file finds becomes damage of this shard.
template <typename Read>
auto as_shard_damage(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (!(error.code() == crypto::errors::sealed_file_damaged)) throw;
    ErrorFields fields = error.fields();
    fields.remedy = "restore the dataset folder from a backup or ingest the source again";
    throw Error(errors::shard_damaged, std::move(fields));
  }
}

}  // namespace

struct ShardReader::State {
  FileSystem::Path path;
  crypto::SealedFileReader file;
  Vocabulary vocabulary;
  std::uint64_t num_tokens = 0;
  std::uint64_t num_documents = 0;
  Bytes buffer;
};

ShardReader::ShardReader(FileSystem& fs, const FileSystem::Path& folder, const ShardId& id,
                         ByteView data_key, const Vocabulary& vocabulary) {
  const std::uint64_t token_bytes = vocabulary.token_bytes();
  FileSystem::Path path = folder / id.file_name();
  as_shard_damage([&] {
    crypto::SealedFileReader file(fs, path, data_key, purpose_of(id));
    state_.reset(new State{path, std::move(file), vocabulary, 0, 0, {}});
    const std::uint64_t size = state_->file.size();
    if (size < shard_header_bytes + shard_trailer_bytes) {
      fail_shard(path, "a shard is too short", std::to_string(size) + " bytes",
                 "at least a header and a trailer");
    }
    Bytes header(shard_header_bytes);
    Bytes trailer(shard_trailer_bytes);
    state_->file.read_at(0, header);
    state_->file.read_at(size - shard_trailer_bytes, trailer);
    ByteReader front(header, path.string());
    ByteReader back(trailer, path.string());
    bool good = to_string(front.raw(8)) == magic_of(vocabulary) && front.u32() == vocabulary.size &&
                front.u32() == token_bytes;
    state_->num_tokens = back.u64();
    state_->num_documents = back.u64();
    good = good && to_string(back.raw(8)) == shard_end_magic;
    // Bounds before products: a forged count must not wrap into the right size.
    good = good && state_->num_tokens <= size && state_->num_documents <= size &&
           size == shard_header_bytes + token_bytes * state_->num_tokens +
                       index_entry_bytes * state_->num_documents + shard_trailer_bytes;
    if (!good) {
      fail_shard(path, "a shard's header and trailer do not fit its size",
                 std::to_string(size) + " bytes for " + std::to_string(state_->num_tokens) +
                     " tokens in " + std::to_string(state_->num_documents) + " documents",
                 "a shard of " + std::to_string(vocabulary.size) + " ids of " +
                     std::to_string(token_bytes) + " bytes");
    }
  });
}

ShardReader::ShardReader(ShardReader&&) noexcept = default;
ShardReader& ShardReader::operator=(ShardReader&&) noexcept = default;
ShardReader::~ShardReader() = default;

std::uint64_t ShardReader::num_tokens() const { return state_->num_tokens; }
std::uint64_t ShardReader::num_documents() const { return state_->num_documents; }

DocumentEntry ShardReader::document(std::uint64_t index) {
  State& s = *state_;
  CONCORDAT_REQUIRE(index < s.num_documents, std::to_string(index));
  Bytes bytes(index_entry_bytes);
  as_shard_damage([&] {
    s.file.read_at(
        shard_header_bytes + s.vocabulary.token_bytes() * s.num_tokens + index_entry_bytes * index,
        bytes);
  });
  ByteReader in(bytes, s.path.string());
  DocumentEntry entry;
  entry.begin = in.u64();
  entry.size = in.u64();
  entry.content = in.digest();
  if (entry.begin >= s.num_tokens || entry.size >= s.num_tokens - entry.begin) {
    fail_shard(s.path, "a document lies outside its shard",
               "tokens from " + std::to_string(entry.begin),
               "below " + std::to_string(s.num_tokens));
  }
  return entry;
}

void ShardReader::read(std::uint64_t begin, std::span<Token> out) {
  State& s = *state_;
  CONCORDAT_REQUIRE(out.size() <= s.num_tokens && begin <= s.num_tokens - out.size(),
                    std::to_string(begin) + " + " + std::to_string(out.size()));
  const std::uint64_t token_bytes = s.vocabulary.token_bytes();
  s.buffer.resize(token_bytes * out.size());
  as_shard_damage([&] { s.file.read_at(shard_header_bytes + token_bytes * begin, s.buffer); });
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint32_t id = 0;
    for (std::size_t byte = 0; byte < token_bytes; ++byte) {
      id |= std::uint32_t{s.buffer[token_bytes * i + byte]} << (8 * byte);
    }
    if (id >= s.vocabulary.size) {
      fail_shard(s.path, "a shard holds an id beyond its vocabulary", std::to_string(id),
                 "below " + std::to_string(s.vocabulary.size));
    }
    out[i] = static_cast<Token>(id);
  }
}

}  // namespace concordat::data
