// Error codes of the `train` area.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::train::errors {

/// Training settings that cannot be honoured, such as a batch that the ranks do not divide.
inline constexpr ErrorCode bad_settings{"train.bad_settings", Severity::process, ExitCode::usage};
/// The loss or the gradient norm is NaN or infinite.
inline constexpr ErrorCode diverged{"train.diverged", Severity::process, ExitCode::data};
/// A token id outside the model's vocabulary.
inline constexpr ErrorCode bad_token{"train.bad_token", Severity::process, ExitCode::data};

}  // namespace concordat::train::errors
