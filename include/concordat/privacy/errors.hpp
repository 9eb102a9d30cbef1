// Error codes of `privacy`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::privacy::errors {

/// Pair seeds that cannot be used: none, doubled, of the wrong length, or of the site itself.
inline constexpr ErrorCode seeds{"privacy.seeds", Severity::round, ExitCode::data};

}  // namespace concordat::privacy::errors
