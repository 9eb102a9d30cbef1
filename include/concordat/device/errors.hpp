// Error codes of `device`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::device::errors {

inline constexpr ErrorCode unknown_backend{"device.unknown_backend", Severity::process,
                                           ExitCode::usage};
inline constexpr ErrorCode no_avx2{"device.no_avx2", Severity::process, ExitCode::usage};
/// The kernel refuses the processors that threads are to be pinned to.
inline constexpr ErrorCode cannot_pin{"device.cannot_pin", Severity::process, ExitCode::usage};
inline constexpr ErrorCode library_failed{"device.library_failed", Severity::process,
                                          ExitCode::internal};

}  // namespace concordat::device::errors
