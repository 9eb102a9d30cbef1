// The only maker of Envelopes and FrameSealers, and the one place where a decision is used up.
#pragma once

#include "concordat/border/frames.hpp"

namespace concordat::border {

struct Sealing {
  static Envelope envelope(Envelope::Kind kind, Bytes wire) { return {kind, std::move(wire)}; }
  static FrameSealer frames(Bytes context, FrameHeader header) {
    return {std::move(context), std::move(header)};
  }
};

/// Compares each field of the decision with the header and the size, and uses the decision up.
/// @throws Error(decision_mismatch | crossing_refused).
void use_decision(ledger::Written<ledger::Decision>&& written, const Header& header,
                  std::uint64_t sealed_bytes);

/// Seals without asking for a decision; callers have used one up.
Bytes seal_wire(const Header& header, ByteView body, const Identity& me, const PeerDirectory& peers,
                crypto::SecureRandom& random);

/// What binds a frame to its announcement; see docs/formats/block-frame.md.
Bytes frame_context(const Header& announcement, const PeerDirectory& peers);
Bytes frame_context(const Header& announcement, const crypto::VerifyKey& sender,
                    const crypto::SealKey& recipient);

}  // namespace concordat::border
