// Error codes of the `model` area.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::model::errors {

/// A model configuration that cannot be built: head counts, widths, a stage without layers.
inline constexpr ErrorCode bad_config{"model.bad_config", Severity::process, ExitCode::usage};
/// A configuration and a mesh that do not fit each other.
inline constexpr ErrorCode bad_layout{"model.bad_layout", Severity::process, ExitCode::usage};
/// A safetensors file or its index that is damaged, cut or made up.
inline constexpr ErrorCode bad_weights{"model.bad_weights", Severity::process, ExitCode::data};
/// A foreign model folder that asks for what this program does not compute.
inline constexpr ErrorCode unsupported{"model.unsupported", Severity::process, ExitCode::data};
/// A foreign model folder whose parts do not fit each other or the model that is wanted.
inline constexpr ErrorCode bad_import{"model.bad_import", Severity::process, ExitCode::data};

}  // namespace concordat::model::errors
