// Error codes of `checkpoint`.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::checkpoint::errors {

/// There are generations, and none of them verifies.
inline constexpr ErrorCode none_verifies{"checkpoint.none_verifies", Severity::process,
                                         ExitCode::data};
/// The newest good generation holds other tensors than the program asks for.
inline constexpr ErrorCode mismatch{"checkpoint.mismatch", Severity::process, ExitCode::usage};
/// What was restored does not hash to what the manifest promises.
inline constexpr ErrorCode digest_mismatch{"checkpoint.digest_mismatch", Severity::process,
                                           ExitCode::data};
/// HDF5 refused to create or describe the file.
inline constexpr ErrorCode hdf5_failed{"checkpoint.hdf5_failed", Severity::process, ExitCode::data};

}  // namespace concordat::checkpoint::errors
