// Error codes of `exact`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::exact::errors {

/// NaN or infinity in an update; names the canonical index.
inline constexpr ErrorCode not_finite{"exact.not_finite", Severity::process, ExitCode::data};
/// A number of sites, bits and lane whose sum could wrap; the message has the arithmetic.
inline constexpr ErrorCode lane_could_wrap{"exact.lane_could_wrap", Severity::process,
                                           ExitCode::usage};
/// A sum outside [0, survivors * (2^bits - 1)].
inline constexpr ErrorCode sum_out_of_range{"exact.sum_out_of_range", Severity::round,
                                            ExitCode::data};
/// A weight above its cap, or a cap whose sum could wrap 32 bits.
inline constexpr ErrorCode weight{"exact.weight", Severity::round, ExitCode::data};
/// A setting outside what the arithmetic is defined for.
inline constexpr ErrorCode setting{"exact.setting", Severity::process, ExitCode::usage};

}  // namespace concordat::exact::errors
