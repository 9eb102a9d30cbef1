// manifest.json: encoding and decoding. The only file here that knows JSON.
#pragma once

#include <string>

#include "concordat/checkpoint/checkpoint.hpp"

namespace concordat::checkpoint {

/// @throws Error(malformed) if a text is not UTF-8.
std::string encode_manifest(const Manifest& manifest);
/// Checks the format, its own SHA-256, and that the extents lie in the file and are apart.
/// @throws Error(malformed | checkpoint.newer_version) naming `where`.
Manifest decode_manifest(std::string_view text, const std::string& where);

}  // namespace concordat::checkpoint
