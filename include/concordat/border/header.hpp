// What a message says about itself: which federation, exchange, manifest, from whom, to whom, what.
//
//   Header header{.federation = id, .exchange = {Round{3}, {}, {}}, .manifest = manifest_digest,
//                 .sender = SiteId{0}, .recipient = coordinator_id,
//                 .type = MessageType::cosign, .index = 0};
//   auto name = name_of(header.type);         // "cosign", also the kind of its decision
//
// On the wire sender and recipient are keys (their Ed25519 and X25519 keys in the directory); an id
// is what the directory says of a key that verified. Plain values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "concordat/core/bytes.hpp"
#include "concordat/core/ids.hpp"

namespace concordat::border {

/// The numbers of the protocol. Reserved ones have a number and no code yet.
enum class MessageType : std::uint16_t {
  ready = 1,
  manifest = 2,
  cosign = 3,
  go = 4,
  header = 6,
  survivors = 7,
  agree = 8,
  unmask_request = 9,  ///< reserved: recovery = shares
  unmask = 10,         ///< reserved: recovery = shares
  aggregate = 11,
  received = 12,
  closed = 13,
  withdraw = 14,  ///< reserved: attempts
  block = 16,
  block_ack = 17,
  state = 18,  ///< from a donor to a site; the coordinator passes it on unopened
};

/// "ready", "manifest", ...; "unknown" for another number.
std::string_view name_of(MessageType type);
/// The type of a number that came in, if a signed message may carry it (1 to 14, and 18).
std::optional<MessageType> message_type_from(std::uint16_t number);
/// True for the two messages that announce block frames: header (6) and aggregate (11).
bool announces_frames(MessageType type);

/// Everything that identifies a message but its body.
struct Header {
  Digest federation{};    ///< digest of roster version 1
  ExchangeId exchange{};  ///< (round, fragment, attempt)
  Digest manifest{};      ///< the agreement's digest in types 1 and 2: no manifest exists yet
  SiteId sender{};
  SiteId recipient{};
  MessageType type = MessageType::ready;
  std::uint32_t index = 0;
  auto operator<=>(const Header&) const = default;
  /// "cosign of exchange 3.0.0 from site 0 to the coordinator", for errors and logs.
  std::string text() const;
};

/// "site 2" or "the coordinator".
std::string text_of(SiteId site);

/// Longest plaintext of a message; a manifest of a thousand sites fits.
inline constexpr std::size_t max_body_bytes = 4U << 20U;

}  // namespace concordat::border
