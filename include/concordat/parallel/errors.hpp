// Error codes of `parallel`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::parallel::errors {

/// A layout that cannot be had: the mesh does not fit the ranks, or tp does not fit a tensor.
inline constexpr ErrorCode bad_layout{"parallel.bad_layout", Severity::process, ExitCode::usage};
/// Source segments of a resharding plan that miss or repeat what the destination needs.
inline constexpr ErrorCode bad_plan{"parallel.bad_plan", Severity::process, ExitCode::internal};

}  // namespace concordat::parallel::errors
