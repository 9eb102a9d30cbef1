// Sealed files: encryption at rest with random access. Chunked AES-256-GCM under a key of the
// file's own, which is wrapped under the site's data key. Format: docs/formats/sealed-file.md.
//
//   SealedFileWriter out(fs, "data/shard-0000.tok", data_key.view(), "token-shard", random);
//   out.write(bytes);                              // any pieces
//   Digest digest = out.finish();                  // durable and renamed into place; of the file
//   SealedFileReader in(fs, "data/shard-0000.tok", data_key.view(), "token-shard");
//   in.read_at(1000, into);                        // opens only the chunks it needs
//
// A cut, lengthened, reordered or swapped file does not open: the chunk's index, its place as the
// last one and the whole header are authenticated, and the header commits to the key. Plaintext
// never reaches the disk: the temporary file holds the same sealed bytes.
// Threads: one at a time per object. Memory: one chunk (reader: one cached chunk).
#pragma once

#include <memory>

#include "concordat/core/file.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::crypto {

inline constexpr std::uint32_t default_chunk_bytes = 64U << 10U;

class SealedFileWriter {
 public:
  /// Creates PATH.tmp at once; PATH appears in finish(). `purpose` (1 to 64 bytes) must be given
  /// again to open the file. @pre data_key has 32 bytes; 1 KiB <= chunk_bytes <= 16 MiB.
  SealedFileWriter(FileSystem& fs, FileSystem::Path path, ByteView data_key,
                   std::string_view purpose, SecureRandom& random,
                   std::uint32_t chunk_bytes = default_chunk_bytes);
  SealedFileWriter(SealedFileWriter&&) noexcept;
  SealedFileWriter& operator=(SealedFileWriter&&) = delete;
  /// Removes PATH.tmp unless finish() ran.
  ~SealedFileWriter();
  void write(ByteView plain);
  std::uint64_t plain_bytes() const;
  /// Seals the last chunk, syncs, renames, syncs the folder. Returns SHA-256 of the file's bytes.
  /// @throws Error(already_exists) if PATH is there.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class SealedFileReader {
 public:
  /// Checks header, key commitment and the last chunk, so a cut file is refused here.
  /// @throws Error(sealed_file_damaged) naming file and, for a chunk, its index.
  SealedFileReader(FileSystem& fs, FileSystem::Path path, ByteView data_key,
                   std::string_view purpose);
  SealedFileReader(SealedFileReader&&) noexcept;
  SealedFileReader& operator=(SealedFileReader&&) noexcept;
  ~SealedFileReader();
  std::uint64_t size() const;  ///< plain bytes
  std::uint64_t num_chunks() const;
  /// Reads exactly into.size() bytes. @pre offset + into.size() <= size().
  void read_at(std::uint64_t offset, ByteSpan into);
  /// Opens every chunk once: the proof that the whole file is intact.
  void verify_all();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace concordat::crypto
