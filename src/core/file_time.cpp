#include "concordat/core/file_time.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "concordat/core/error.hpp"

namespace concordat {

std::int64_t modified_unix_seconds(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status.st_mtim.tv_sec;
  const int error = errno;
  throw Error(error == ENOENT ? errors::not_found : errors::io_failed,
              {.what = "cannot examine the file",
               .where = path.string(),
               .found = std::strerror(error),
               .expected = "a path that this user may read",
               .remedy = "check the spelling, owner and mode of the path"});
}

}  // namespace concordat
