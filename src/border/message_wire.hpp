// The bytes of a message, before any cryptography: docs/formats/envelope.md.
#pragma once

#include <array>

#include "concordat/border/header.hpp"
#include "concordat/border/peers.hpp"

namespace concordat::border {

inline constexpr std::array<std::uint8_t, 4> message_magic{'C', 'C', 'D', 'M'};
inline constexpr std::uint8_t message_version = 1;
inline constexpr std::size_t header_wire_bytes = 152;  ///< the HPKE info
inline constexpr std::size_t signed_wire_bytes = 188;  ///< header, body digest, body length
inline constexpr std::size_t signature_wire_bytes = 64;
inline constexpr std::string_view message_pae_type = "application/vnd.concordat.message.v1";

/// What the signature covers, cut into its fields; views into the wire.
struct SignedWire {
  MessageType type{};
  Digest federation;
  ExchangeId exchange;
  Digest manifest;
  crypto::VerifyKey sender;
  crypto::SealKey recipient;
  std::uint32_t index = 0;
  Digest body_digest;
  std::size_t sealed_bytes = 0;
  ByteView info;         ///< the header: HPKE info
  ByteView signed_part;  ///< what the signature covers, inside the DSSE encoding
};

/// A whole message.
struct MessageWire : SignedWire {
  ByteView sealed;
  ByteView signature;
};

Bytes encode_header(const Header& header, const crypto::VerifyKey& sender,
                    const crypto::SealKey& recipient);
/// Reads the first signed_wire_bytes of a message. @throws as parse_message.
SignedWire parse_signed(ByteReader& in, ByteView wire);
/// @throws Error(malformed) for any bound, constant or length that is not right.
MessageWire parse_message(ByteView wire);

}  // namespace concordat::border
