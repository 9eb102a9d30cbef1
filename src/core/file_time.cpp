#include "concordat/core/file_time.hpp"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

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

std::string utc_text(std::int64_t unix_seconds) {
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  std::array<char, 32> text{};
  if (::gmtime_r(&time, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

}  // namespace concordat
