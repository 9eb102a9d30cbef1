// Error codes of the `model` area.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::model::errors {

/// A model configuration that cannot be built: head counts, widths, a stage without layers.
inline constexpr ErrorCode bad_config{"model.bad_config", Severity::process, ExitCode::usage};
/// A configuration and a mesh that do not fit each other.
inline constexpr ErrorCode bad_layout{"model.bad_layout", Severity::process, ExitCode::usage};

}  // namespace concordat::model::errors
