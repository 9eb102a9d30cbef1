// Key pairs: Ed25519 (SigningKey, VerifyKey) and X25519 (OpeningKey, SealKey), distinct types.
//
//   SigningKey key = SigningKey::generate(system_random());
//   Signature signature = key.sign(message);
//   if (!verify(key.verify_key(), message, signature)) ...
//   OpeningKey mine = OpeningKey::generate(system_random());
//   SecretBytes shared = mine.shared_secret(peer_seal_key);   // refuses points of small order
//
// Private keys move and are cleansed; public keys are plain values. Threads: const use from any.
#pragma once

#include <array>
#include <compare>
#include <string>

#include "concordat/core/bytes.hpp"
#include "concordat/crypto/random.hpp"
#include "concordat/crypto/secret_bytes.hpp"

namespace concordat::crypto {

using Signature = std::array<std::uint8_t, 64>;

/// 32 public bytes whose type says what they are for.
template <typename Tag>
struct PublicKey {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const PublicKey&) const = default;
  ByteView view() const { return bytes; }
  std::string hex() const { return to_hex(bytes); }
  /// @throws Error(malformed) unless exactly 32 bytes.
  static PublicKey from(ByteView raw, std::string_view where) {
    return PublicKey{digest_from(raw, where).bytes};
  }
  /// @throws Error(malformed) unless exactly 64 hex digits.
  static PublicKey from_hex(std::string_view text, std::string_view where) {
    return PublicKey{digest_from_hex(text, where).bytes};
  }
};

using VerifyKey = PublicKey<struct VerifyTag>;  ///< Ed25519: checks signatures
using SealKey = PublicKey<struct SealTag>;      ///< X25519: seals to its holder

class SigningKey {
 public:
  static SigningKey generate(SecureRandom& random);
  /// @pre 32 bytes.
  static SigningKey from_seed(ByteView seed);
  /// Deterministic (RFC 8032).
  Signature sign(ByteView message) const;
  const VerifyKey& verify_key() const { return verify_key_; }
  /// The private seed, for key files and the TLS stack.
  const SecretBytes& seed() const { return seed_; }

 private:
  SigningKey() = default;
  SecretBytes seed_;
  VerifyKey verify_key_;
};

/// True when `signature` is `key`'s over exactly `message`. Never throws for bad input.
bool verify(const VerifyKey& key, ByteView message, const Signature& signature);
/// @throws Error(bad_signature) naming `where`.
void require_signature(const VerifyKey& key, ByteView message, ByteView signature,
                       std::string_view where);
/// @throws Error(malformed) unless exactly 64 bytes.
Signature signature_from(ByteView bytes, std::string_view where);

class OpeningKey {
 public:
  static OpeningKey generate(SecureRandom& random);
  /// @pre 32 bytes; clamped as RFC 7748 says when it is used.
  static OpeningKey from_private(ByteView bytes);
  const SealKey& seal_key() const { return seal_key_; }
  /// X25519. @throws Error(bad_key) when the result would be all zero.
  SecretBytes shared_secret(const SealKey& peer) const;
  /// The private bytes, for key files and per-exchange secrets.
  const SecretBytes& private_bytes() const { return private_; }

 private:
  OpeningKey() = default;
  SecretBytes private_;
  SealKey seal_key_;
};

}  // namespace concordat::crypto
