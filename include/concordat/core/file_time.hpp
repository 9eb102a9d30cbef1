// When a file was last changed, for people to read.
//
//   utc_text(modified_unix_seconds(generation / "manifest.json"));
//
// Outside the file seam, because nothing is decided by it: clocks of file systems jump.
#pragma once

#include <cstdint>
#include <filesystem>

namespace concordat {

/// Seconds since 1970 in UTC, by the file system's clock. @throws Error(not_found | io_failed).
std::int64_t modified_unix_seconds(const std::filesystem::path& path);

}  // namespace concordat
