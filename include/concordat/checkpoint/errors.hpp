// Error codes of `checkpoint`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::checkpoint::errors {

/// There are generations, and none of them verifies.
inline constexpr ErrorCode none_verifies{"checkpoint.none_verifies", Severity::process,
                                         ExitCode::data};
/// The newest good generation holds other tensors than the program asks for.
inline constexpr ErrorCode mismatch{"checkpoint.mismatch", Severity::process, ExitCode::usage};
/// A newer version of the program wrote it: refused, or a run would go on from an older generation.
inline constexpr ErrorCode newer_version{"checkpoint.newer_version", Severity::process,
                                         ExitCode::data};
/// What was restored does not hash to what the manifest promises.
inline constexpr ErrorCode digest_mismatch{"checkpoint.digest_mismatch", Severity::process,
                                           ExitCode::data};
/// HDF5 refused to create or describe the file.
inline constexpr ErrorCode hdf5_failed{"checkpoint.hdf5_failed", Severity::process, ExitCode::data};

}  // namespace concordat::checkpoint::errors
