#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/sealed_file.hpp"
#include "crypto/sealed_header.hpp"

namespace concordat::crypto {

using Path = FileSystem::Path;

struct SealedFileWriter::State {
  FileSystem& fs;
  Path path;
  Path temporary;
  std::unique_ptr<File> file;
  SealedKey key;
  SecretBytes pending;  // up to one chunk: whether it is the last is known only at the end
  std::size_t fill = 0;
  std::uint64_t chunk = 0;
  std::uint64_t plain_bytes = 0;
  Sha256 digest;
  Bytes sealed;

  void emit(ByteView bytes) {
    digest.update(bytes);
    file->write(bytes);
  }

  void seal_pending(bool last) {
    sealed.resize(fill + aead_tag_bytes);
    aead_seal_into(key.chunk_key.view(), chunk_nonce(chunk, last), {}, pending.view().first(fill),
                   sealed);
    emit(sealed);
    ++chunk;
    fill = 0;
  }

  // Best effort on the way out: an unfinished file is useless but holds no plaintext either.
  ~State() {
    if (!file) return;
    file.reset();
    try {
      fs.remove(temporary);
    } catch (...) {
    }
  }
};

SealedFileWriter::SealedFileWriter(FileSystem& fs, Path path, ByteView data_key,
                                   std::string_view purpose, SecureRandom& random,
                                   std::uint32_t chunk_bytes) {
  SealedKey key;
  Bytes header = make_sealed_header(data_key, purpose, chunk_bytes, random, key);
  Path temporary = path;
  temporary += ".tmp";
  fs.remove(temporary);
  auto file = fs.open(temporary, OpenMode::create_exclusive);
  state_.reset(new State{fs, std::move(path), std::move(temporary), std::move(file), std::move(key),
                         SecretBytes(chunk_bytes), 0, 0, 0, Sha256(), Bytes()});
  state_->emit(header);
}

SealedFileWriter::SealedFileWriter(SealedFileWriter&&) noexcept = default;
SealedFileWriter::~SealedFileWriter() = default;

void SealedFileWriter::write(ByteView plain) {
  State& s = *state_;
  CONCORDAT_REQUIRE(s.file != nullptr, "write after finish");
  while (!plain.empty()) {
    if (s.fill == s.key.chunk_bytes) s.seal_pending(false);
    std::size_t count = std::min(plain.size(), s.key.chunk_bytes - s.fill);
    std::copy_n(plain.begin(), count, s.pending.span().begin() + static_cast<long>(s.fill));
    s.fill += count;
    s.plain_bytes += count;
    plain = plain.subspan(count);
  }
}

std::uint64_t SealedFileWriter::plain_bytes() const { return state_->plain_bytes; }

Digest SealedFileWriter::finish() {
  State& s = *state_;
  CONCORDAT_REQUIRE(s.file != nullptr, "finish twice");
  s.seal_pending(true);
  s.file->sync();
  s.fs.link(s.temporary, s.path);  // fails with already_exists instead of replacing
  s.file.reset();
  s.fs.remove(s.temporary);
  s.fs.sync_directory(s.path.has_parent_path() ? s.path.parent_path() : Path("."));
  return s.digest.finish();
}

}  // namespace concordat::crypto
