// AES-256-GCM with a 12-byte nonce and a 16-byte tag appended to the ciphertext.
//
//   Bytes sealed = aead_seal(key.view(), nonce, associated, plain);
//   Bytes plain  = aead_open(key.view(), nonce, associated, sealed);   // or Error(open_failed)
//
// WARNING: a nonce must never repeat under one key; whoever calls this says why it cannot. GCM does
// not commit to its key: formats that need that store a commitment (see sealed_file.hpp).
// Threads: free functions, any thread. Cost: one key schedule per call, about 1 us, then about 1 to
// 4 GB/s.
#pragma once

#include <array>

#include "concordat/core/bytes.hpp"

namespace concordat::crypto {

using Nonce = std::array<std::uint8_t, 12>;
inline constexpr std::size_t aead_key_bytes = 32;
inline constexpr std::size_t aead_tag_bytes = 16;

/// @pre key has 32 bytes.
Bytes aead_seal(ByteView key, const Nonce& nonce, ByteView associated, ByteView plain);
/// @throws Error(open_failed); nothing of the plaintext is released before the tag is checked.
Bytes aead_open(ByteView key, const Nonce& nonce, ByteView associated, ByteView sealed);

/// Seals into the caller's buffer. @pre out.size() == plain.size() + 16; out may begin at plain.
void aead_seal_into(ByteView key, const Nonce& nonce, ByteView associated, ByteView plain,
                    ByteSpan out);
/// Opens into the caller's buffer. @pre out.size() + 16 == sealed.size(); out may begin at sealed.
/// On failure `out` is zeroed. @throws Error(open_failed).
void aead_open_into(ByteView key, const Nonce& nonce, ByteView associated, ByteView sealed,
                    ByteSpan out);

/// A nonce of two little-endian numbers: 8 bytes `index`, 4 bytes `domain`.
Nonce nonce_of(std::uint64_t index, std::uint32_t domain);

}  // namespace concordat::crypto
