#include <algorithm>

#include "concordat/border/spool_road.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/file_time.hpp"

namespace concordat::border {
namespace {

SpoolLook::Way look_at_way(FileSystem& fs, const FileSystem::Path& folder) {
  SpoolLook::Way way;
  for (const std::string& name : fs.list(folder)) {
    const FileSystem::Path path = folder / name;
    if (path.extension() != ".spool") continue;
    try {
      const std::uint64_t bytes = fs.file_size(path);
      const std::int64_t modified = modified_unix_seconds(path);
      way.oldest_unix_seconds =
          way.files == 0 ? modified : std::min(way.oldest_unix_seconds, modified);
      way.bytes += bytes;
      ++way.files;
    } catch (const Error& error) {
      if (error.code() != errors::not_found) throw;  // else: taken while it was looked at
    }
  }
  return way;
}

}  // namespace

SpoolLook look_at_spool(FileSystem& fs, const FileSystem::Path& folder) {
  return {.up = look_at_way(fs, folder / "up"), .down = look_at_way(fs, folder / "down")};
}

}  // namespace concordat::border
