// The header of a sealed file: what the first bytes say and how the file's key comes from them.
#pragma once

#include "concordat/core/file.hpp"
#include "concordat/crypto/aead.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::crypto {

/// A file's chunk key with the sizes that the header fixes.
struct SealedKey {
  SecretBytes chunk_key;
  std::uint32_t chunk_bytes = 0;
  std::uint64_t header_bytes = 0;
};

/// Nonce of a chunk: its index, and whether it is the last one. The last mark makes a cut visible.
inline Nonce chunk_nonce(std::uint64_t index, bool last) { return nonce_of(index, last ? 1 : 0); }

/// Draws a file key and returns the header that wraps it.
Bytes make_sealed_header(ByteView data_key, std::string_view purpose, std::uint32_t chunk_bytes,
                         SecureRandom& random, SealedKey& key);
/// @throws Error(sealed_file_damaged) naming `path`.
SealedKey read_sealed_header(File& file, const FileSystem::Path& path, ByteView data_key,
                             std::string_view purpose);
[[noreturn]] void fail_sealed(const FileSystem::Path& path, std::string what, std::string found,
                              std::string expected);

}  // namespace concordat::crypto
