#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/crypto/sealed_file.hpp"
#include "crypto/sealed_header.hpp"

namespace concordat::crypto {

struct SealedFileReader::State {
  FileSystem::Path path;
  std::unique_ptr<File> file;
  SealedKey key;
  std::uint64_t sealed_bytes = 0;  // all chunks with their tags
  std::uint64_t num_chunks = 0;
  std::uint64_t cached = ~0ULL;
  SecretBytes plain;
  std::size_t plain_size = 0;
  Bytes sealed;

  std::uint64_t stride() const { return std::uint64_t{key.chunk_bytes} + aead_tag_bytes; }

  ByteView open_chunk(std::uint64_t index) {
    if (index == cached) return plain.view().first(plain_size);
    std::uint64_t begin = index * stride();
    std::uint64_t size = std::min(stride(), sealed_bytes - begin);
    sealed.resize(size);
    file->read_at(key.header_bytes + begin, sealed);
    cached = ~0ULL;
    plain_size = size - aead_tag_bytes;
    try {
      aead_open_into(key.chunk_key.view(), chunk_nonce(index, index + 1 == num_chunks), {}, sealed,
                     plain.span().first(plain_size));
    } catch (const Error&) {
      fail_sealed(
          path, "chunk " + std::to_string(index) + " of a sealed file does not open",
          "damaged, cut, moved or appended bytes at " + std::to_string(key.header_bytes + begin),
          "chunk " + std::to_string(index) + " of " + std::to_string(num_chunks) +
              " as it was written");
    }
    cached = index;
    return plain.view().first(plain_size);
  }
};

SealedFileReader::SealedFileReader(FileSystem& fs, FileSystem::Path path, ByteView data_key,
                                   std::string_view purpose) {
  auto file = fs.open(path, OpenMode::read);
  SealedKey key = read_sealed_header(*file, path, data_key, purpose);
  state_ = std::make_unique<State>();
  State& s = *state_;
  s.sealed_bytes = file->size() - key.header_bytes;
  s.path = std::move(path);
  s.file = std::move(file);
  s.key = std::move(key);
  s.plain = SecretBytes(s.key.chunk_bytes);
  s.num_chunks = (s.sealed_bytes + s.stride() - 1) / s.stride();
  std::uint64_t last = s.sealed_bytes - (s.num_chunks - 1) * s.stride();
  if (last < aead_tag_bytes) {
    fail_sealed(s.path, "a sealed file ends inside a tag", std::to_string(last) + " bytes left",
                "at least 16");
  }
  s.open_chunk(s.num_chunks - 1);
}

SealedFileReader::SealedFileReader(SealedFileReader&&) noexcept = default;
SealedFileReader& SealedFileReader::operator=(SealedFileReader&&) noexcept = default;
SealedFileReader::~SealedFileReader() = default;

std::uint64_t SealedFileReader::size() const {
  return state_->sealed_bytes - state_->num_chunks * aead_tag_bytes;
}

std::uint64_t SealedFileReader::num_chunks() const { return state_->num_chunks; }

void SealedFileReader::read_at(std::uint64_t offset, ByteSpan into) {
  CONCORDAT_REQUIRE(into.size() <= size() && offset <= size() - into.size(),
                    std::to_string(offset) + " + " + std::to_string(into.size()));
  const std::uint64_t chunk_bytes = state_->key.chunk_bytes;
  while (!into.empty()) {
    ByteView chunk = state_->open_chunk(offset / chunk_bytes).subspan(offset % chunk_bytes);
    std::size_t count = std::min(chunk.size(), into.size());
    std::copy_n(chunk.begin(), count, into.begin());
    into = into.subspan(count);
    offset += count;
  }
}

void SealedFileReader::verify_all() {
  for (std::uint64_t i = 0; i < state_->num_chunks; ++i) state_->open_chunk(i);
}

}  // namespace concordat::crypto
