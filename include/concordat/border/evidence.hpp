// Evidence: two statements of one sender under one identity. Each verifies alone, together they
// cannot both be honest, and neither needs the body or a key of the one who kept them.
//
//   Bytes bytes = read_file(fs, folder / "receipts/evidence" / name);
//   Contradiction found = verify_evidence(bytes, peers);      // peers: from the roster
//   found.first.text();                                       // "ready of exchange 3.0.0 from site
//   0 ..."
//
// Format: docs/formats/envelope.md, "evidence". Threads: any. Cost: two Ed25519 verifications.
#pragma once

#include "concordat/border/envelope.hpp"

namespace concordat::border {

struct Evidence {
  Statement first{};
  Statement second{};
};
Bytes encode(const Evidence& evidence);

struct Contradiction {
  Header first;
  Header second;
};
/// @throws Error(malformed | unknown_peer | not_authentic): also if the two do not contradict.
Contradiction verify_evidence(ByteView bytes, const PeerDirectory& peers);

}  // namespace concordat::border
