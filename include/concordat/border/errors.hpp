// Error codes of border.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::border::errors {

/// A message or frame that does not verify: signature, recipient, federation, digest, path, length.
inline constexpr ErrorCode not_authentic{"border.not_authentic", Severity::request, ExitCode::data};
/// A sender, recipient or TLS key that is not in the directory.
inline constexpr ErrorCode unknown_peer{"border.unknown_peer", Severity::request, ExitCode::data};
/// A second, different message under the identity of a first; kept as evidence.
inline constexpr ErrorCode equivocation{"border.equivocation", Severity::request, ExitCode::data};
/// A new message for an exchange that is closed here.
inline constexpr ErrorCode exchange_closed{"border.exchange_closed", Severity::request,
                                           ExitCode::data};
/// A block frame whose signed header has not come.
inline constexpr ErrorCode no_header{"border.no_header", Severity::request, ExitCode::data};
/// What is to be sealed is not what the decision in the ledger permits.
inline constexpr ErrorCode decision_mismatch{"border.decision_mismatch", Severity::process,
                                             ExitCode::refused};
/// The decision in the ledger refuses the crossing.
inline constexpr ErrorCode crossing_refused{"border.crossing_refused", Severity::process,
                                            ExitCode::refused};
/// The other end answered with a refusal; its code, and no more, is `found`.
inline constexpr ErrorCode peer_refused{"border.peer_refused", Severity::request, ExitCode::data};
/// The connection is gone or could not be made; trying again is right.
inline constexpr ErrorCode road_down{"border.road_down", Severity::request, ExitCode::saved};
/// No answer yet on a road that takes its time; the same call made again goes on waiting.
inline constexpr ErrorCode road_waits{"border.road_waits", Severity::request, ExitCode::saved};
/// The road was asked to stop.
inline constexpr ErrorCode road_stopped{"border.road_stopped", Severity::request, ExitCode::saved};
/// The peer broke the rules of the road: a bound, an unknown request, another protocol.
inline constexpr ErrorCode road_abused{"border.road_abused", Severity::request, ExitCode::data};
/// One block does not fit into the budget of bytes in flight.
inline constexpr ErrorCode over_budget{"border.over_budget", Severity::process, ExitCode::usage};
/// An acknowledged receipt is damaged.
inline constexpr ErrorCode receipts_damaged{"border.receipts_damaged", Severity::process,
                                            ExitCode::data};
/// Neither road nor address can be used as configured.
inline constexpr ErrorCode bad_address{"border.bad_address", Severity::process, ExitCode::usage};

}  // namespace concordat::border::errors
