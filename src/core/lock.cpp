// Role locks: flock on a file that names its holder. The kernel drops the lock with the process,
// so a killed holder never blocks its successor.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat {
namespace {

std::string holder_line(std::string_view role) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const char* job = std::getenv("SLURM_JOB_ID");
  return "role=" + std::string(role) + " host=" + host.data() +
         " pid=" + std::to_string(::getpid()) + " job=" + (job != nullptr ? job : "-") + "\n";
}

}  // namespace

RoleLock::RoleLock(const FileSystem::Path& path, std::string_view role)
    : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (fd_ < 0) {
    throw Error(errors::io_failed, {.what = "cannot open the lock file",
                                    .where = path.string(),
                                    .found = std::strerror(errno),
                                    .expected = "a folder that this user may write",
                                    .remedy = "check the mode of the path, and how it is mounted"});
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 512> line{};
    ssize_t count = ::pread(fd_, line.data(), line.size() - 1, 0);
    ::close(std::exchange(fd_, -1));
    throw Error(errors::in_use,
                {.what = "another process holds this role",
                 .where = path.string(),
                 .found = count > 0 ? std::string(line.data(), static_cast<std::size_t>(count - 1))
                                    : "an unnamed holder",
                 .expected = "no holder",
                 .remedy = "stop that process, or give this one its own folder"});
  }
  std::string line = holder_line(role);
  if (::ftruncate(fd_, 0) != 0 ||
      ::pwrite(fd_, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    int error = errno;
    ::close(std::exchange(fd_, -1));
    throw Error(errors::io_failed, {.what = "cannot write the lock file",
                                    .where = path.string(),
                                    .found = std::strerror(error),
                                    .expected = std::to_string(line.size()) + " bytes written",
                                    .remedy = "free space or check the quota"});
  }
}

std::optional<std::string> role_holder(const FileSystem::Path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::optional<std::string> holder;
  // A shared lock is refused while somebody holds the exclusive one, and is gone with close().
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0) {
    std::array<char, 512> line{};
    ssize_t count = ::pread(fd, line.data(), line.size() - 1, 0);
    holder = std::string(line.data(), static_cast<std::size_t>(std::max<ssize_t>(count - 1, 0)));
  }
  ::close(fd);
  return holder;
}

RoleLock::RoleLock(RoleLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RoleLock::~RoleLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace concordat
