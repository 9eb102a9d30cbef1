// Envelope: the one type that a road carries, and the functions that make and open messages.
//
//   auto written = ledger.write(decision);                    // durable before anything is sealed
//   Envelope e = seal_message(std::move(written), header, body, me, peers, system_random());
//   journal.append(e.wire());                                 // before the first send
//   road.deliver(e);
//   ...
//   OpenedMessage m = open_message(wire, me, peers);          // at the other end
//   if (m.header.type == MessageType::cosign) ...
//
// A message is an HPKE body whose info is the whole header, signed with Ed25519 over the DSSE
// encoding of header and body digest (docs/formats/envelope.md). Its digest is SHA-256 of the wire.
// Nobody outside src/border can make an Envelope: raw bytes and tensors have no road.
// Threads: values and free functions, any thread. Cost: two X25519, one Ed25519, one hash.
#pragma once

#include <array>

#include "concordat/border/header.hpp"
#include "concordat/border/peers.hpp"
#include "concordat/core/bytes.hpp"
#include "concordat/ledger/decision.hpp"

namespace concordat::border {

class Envelope {
 public:
  enum class Kind : std::uint8_t { message = 1, block = 2 };
  Envelope(Envelope&&) noexcept = default;
  Envelope& operator=(Envelope&&) noexcept = default;
  Envelope(const Envelope&) = delete;
  Envelope& operator=(const Envelope&) = delete;

  Kind kind() const { return kind_; }
  /// The sealed bytes; valid while this lives.
  ByteView wire() const { return wire_; }
  /// SHA-256 of the wire. Cost: one hash per call.
  Digest digest() const;

 private:
  friend struct Sealing;  // src/border/sealing.hpp
  Envelope(Kind kind, Bytes wire) : kind_(kind), wire_(std::move(wire)) {}
  Kind kind_;
  Bytes wire_;
};

/// Seals one message. Every field of the decision is compared with the header: kind, exchange,
/// manifest, recipient, id, and the sealed size with max_bytes; the decision is used up.
/// Types 6 and 11 are sealed by seal_announcement (frames.hpp).
/// @throws Error(decision_mismatch | crossing_refused | unknown_peer).
Envelope seal_message(ledger::Written<ledger::Decision>&& written, const Header& header,
                      ByteView body, const Identity& me, const PeerDirectory& peers,
                      crypto::SecureRandom& random);

/// An Envelope again from journalled bytes, for sending once more: only bytes that carry this
/// process's own signature, which exists only where a decision was used up.
/// @throws Error(not_authentic).
Envelope restore_message(ByteView wire, const Identity& me, const PeerDirectory& peers);

/// The Envelope of another party's message of type 18, which this process hands on unopened. The
/// signature is checked, and the decision compared and used up as in seal_message.
/// @throws Error(decision_mismatch | crossing_refused | malformed | unknown_peer | not_authentic).
Envelope pass_on(ledger::Written<ledger::Decision>&& written, ByteView wire,
                 const PeerDirectory& peers);

/// Sealed size of a message with a body of this size; what a decision's max_bytes must cover.
std::uint64_t sealed_message_bytes(std::uint64_t body_bytes);

/// What the header says before anything is checked: for finding the receipt of a repetition.
/// Never act on it. @throws Error(malformed).
struct Claim {
  ExchangeId exchange;
  MessageType type;
  std::uint32_t index;
};
Claim read_claim(ByteView wire);

/// What the sender signed (header, body digest, length: 188 bytes) and the signature (64). It
/// proves without the body who said what digest under which identity, to anybody with the roster.
using Statement = std::array<std::uint8_t, 252>;
/// Cuts it out of a message. @throws Error(malformed).
Statement statement_of(ByteView wire);
/// @throws Error(malformed | unknown_peer | not_authentic).
Header verify_statement(const Statement& statement, const PeerDirectory& peers);

struct OpenedMessage {
  Header header;
  Bytes body;     ///< overwritten at the end: types 6 and 11 have a key in it
  Digest digest;  ///< SHA-256 of the wire: the message's identity in receipts and ledgers
  Statement statement{};
  ~OpenedMessage();
};

/// Checks lengths, federation, recipient, the sender's signature and the body digest, then opens.
/// The sender is the directory entry whose key verified.
/// @throws Error(malformed | unknown_peer | not_authentic).
OpenedMessage open_message(ByteView wire, const Identity& me, const PeerDirectory& peers);

/// The signature and header of a message that this process cannot open (evidence, audit).
/// @throws Error(malformed | unknown_peer | not_authentic).
Header verify_message(ByteView wire, const PeerDirectory& peers);

/// Longest wire of a message.
std::uint64_t max_message_wire_bytes();

}  // namespace concordat::border
