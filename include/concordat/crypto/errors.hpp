// Error codes of crypto.
#pragma once

#include "concordat/core/error.hpp"

namespace concordat::crypto::errors {

/// A sealed text does not open: wrong key, or changed, cut or swapped bytes.
inline constexpr ErrorCode open_failed{"crypto.open_failed", Severity::request, ExitCode::data};
/// A signature does not verify.
inline constexpr ErrorCode bad_signature{"crypto.bad_signature", Severity::request, ExitCode::data};
/// A public key that no honest peer has (a point of small order, a wrong length).
inline constexpr ErrorCode bad_key{"crypto.bad_key", Severity::request, ExitCode::data};
/// A key file or folder that others could read, or that belongs to somebody else.
inline constexpr ErrorCode open_permissions{"crypto.open_permissions", Severity::process,
                                            ExitCode::usage};
/// A key file that is no key file, or a damaged one.
inline constexpr ErrorCode bad_key_file{"crypto.bad_key_file", Severity::process, ExitCode::data};
/// An acknowledged record of a journal is damaged (a torn tail is not: it is cut).
inline constexpr ErrorCode journal_damaged{"crypto.journal_damaged", Severity::process,
                                           ExitCode::data};
/// A sealed file (or one chunk of it) does not open.
inline constexpr ErrorCode sealed_file_damaged{"crypto.sealed_file_damaged", Severity::process,
                                               ExitCode::data};
/// The machine's cryptography failed: no entropy, no algorithm, no memory.
inline constexpr ErrorCode library_failed{"crypto.library_failed", Severity::process,
                                          ExitCode::internal};

}  // namespace concordat::crypto::errors
