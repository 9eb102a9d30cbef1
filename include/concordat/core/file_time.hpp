// When a file was last changed, and times in UTC, for people to read.
//
//   utc_text(modified_unix_seconds(generation / "manifest.json"));
//
// Outside the file seam, because nothing is decided by it: clocks of file systems jump.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace concordat {

/// Seconds since 1970 in UTC, by the file system's clock. @throws Error(not_found | io_failed).
std::int64_t modified_unix_seconds(const std::filesystem::path& path);

/// "2026-11-28 02:31:07", of seconds since 1970.
std::string utc_text(std::int64_t unix_seconds);

}  // namespace concordat
