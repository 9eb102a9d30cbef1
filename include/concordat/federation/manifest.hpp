// Manifest: who takes part in one exchange, with which fresh keys, from which state. Its digest
// stands in the header of every later message; every participant cosigns the same bytes before
// anything of the exchange is released.
//
//   Manifest manifest = parse_manifest(body, "manifest of 3.0.0");
//   Digest digest = crypto::sha256(body);
//
// A JSON document, so that an audit can read it. Format: docs/formats/federation-documents.md.
#pragma once

#include <vector>

#include "concordat/federation/messages.hpp"

namespace concordat::federation {

struct Participant {
  SiteId site{};
  ReadyBody ready{};
  bool operator==(const Participant&) const = default;
};

struct Manifest {
  Digest federation{};
  ExchangeId exchange{};
  Digest roster{};
  Digest agreement{};
  Digest previous_closing{};  ///< zero in round 0
  Digest state{};             ///< what every ready states
  std::uint32_t threshold = 0;
  std::vector<Participant> participants;  ///< by ascending site
  bool operator==(const Manifest&) const = default;
  std::vector<SiteId> sites() const;
};

Bytes encode(const Manifest& manifest);
/// Strict. @throws Error(malformed).
Manifest parse_manifest(ByteView document, std::string_view where);

}  // namespace concordat::federation
