// Process-wide hygiene for programs that hold keys or plaintext.
#pragma once

namespace concordat::crypto {

/// No core files, no ptrace by others of the same user. Call first in main. Returns false where the
/// system refuses (said in the log by the caller; nothing else can be done).
bool disable_core_dumps() noexcept;

}  // namespace concordat::crypto
