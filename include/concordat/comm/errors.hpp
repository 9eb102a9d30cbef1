// Error codes of `comm`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::comm::errors {

/// Another rank failed; the message names it and repeats what it said. The exit code of an Error
/// with this code is that of the rank that failed first.
inline constexpr ErrorCode peer_failed{"comm.peer_failed", Severity::process, ExitCode::internal};
/// A wait made no progress within the watchdog's time; the message names the ranks waited for.
inline constexpr ErrorCode stalled{"comm.stalled", Severity::process, ExitCode::internal};
/// MPI returned an error code.
inline constexpr ErrorCode mpi_failed{"comm.mpi_failed", Severity::process, ExitCode::internal};
/// The launcher started another number of processes than MPI joined.
inline constexpr ErrorCode launcher_mismatch{"comm.launcher_mismatch", Severity::process,
                                             ExitCode::usage};
/// Threads were to be pinned where ranks have too few processors or get in each other's way.
inline constexpr ErrorCode cannot_pin{"comm.cannot_pin", Severity::process, ExitCode::usage};
/// What came over an Interlink is no letter: its kind or its length.
inline constexpr ErrorCode letter_refused{"comm.letter_refused", Severity::process, ExitCode::data};
/// MPI cannot do what Concordat needs (thread level, tag range).
inline constexpr ErrorCode mpi_unsuitable{"comm.mpi_unsuitable", Severity::process,
                                          ExitCode::usage};

}  // namespace concordat::comm::errors
