// Error codes of governance. A refused crossing is ledger::errors::refused (exit code 77).
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::governance::errors {

/// A dataset of this name with other content stands in the ledger already.
inline constexpr ErrorCode dataset_conflict{"governance.dataset_conflict", Severity::process,
                                            ExitCode::data};

}  // namespace concordat::governance::errors
