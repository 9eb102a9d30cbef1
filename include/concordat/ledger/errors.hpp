// Error codes of the ledger.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::ledger::errors {

/// An idempotency key was used before with other content.
inline constexpr ErrorCode conflict{"ledger.conflict", Severity::process, ExitCode::data};
/// A line that is not what the writer of this format writes, or is not in its place.
inline constexpr ErrorCode malformed{"ledger.malformed", Severity::process, ExitCode::data};
/// The log is shorter than, or different from, what its signed checkpoint covers.
inline constexpr ErrorCode rolled_back{"ledger.rolled_back", Severity::process, ExitCode::data};
/// A checkpoint that does not parse, names another origin or is not signed by the log key.
inline constexpr ErrorCode bad_checkpoint{"ledger.bad_checkpoint", Severity::process,
                                          ExitCode::data};
/// A decision that does not permit: it was recorded, and there is nothing to use.
inline constexpr ErrorCode refused{"ledger.refused", Severity::process, ExitCode::refused};
/// An earlier append failed half-way; this object takes no more. Open the ledger again.
inline constexpr ErrorCode broken{"ledger.broken", Severity::process, ExitCode::data};
/// The ledger's writer turned away an entry that was handed to it; its reason is in the message.
inline constexpr ErrorCode not_taken{"ledger.not_taken", Severity::process, ExitCode::data};

}  // namespace concordat::ledger::errors
