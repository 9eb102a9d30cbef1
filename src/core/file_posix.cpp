// The real file system behind the seam: POSIX calls, every failure an Error with path and errno.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
#include "concordat/core/unique_handle.hpp"

namespace concordat {
namespace {

using Path = FileSystem::Path;

struct FdTraits {
  using Handle = int;
  static constexpr Handle empty() { return -1; }
  static void destroy(Handle fd) noexcept { ::close(fd); }
};
using Fd = UniqueHandle<FdTraits>;

[[noreturn]] void fail(const char* action, const Path& path, int error) {
  const ErrorCode& code = error == ENOENT                      ? errors::not_found
                          : error == EEXIST                    ? errors::already_exists
                          : error == ENOSPC || error == EDQUOT ? errors::disk_full
                                                               : errors::io_failed;
  std::string remedy;
  if (code == errors::disk_full) remedy = "free space or raise the quota, then run it again";
  if (error == EACCES || error == EPERM) remedy = "check the owner and mode of the path";
  throw Error(code, {.what = std::string("cannot ") + action,
                     .where = path.string(),
                     .found = std::strerror(error),
                     .expected = {},
                     .remedy = remedy});
}

class PosixFile final : public File {
 public:
  PosixFile(Path path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  void write(ByteView bytes) override {
    while (!bytes.empty()) {
      ssize_t done = ::write(fd_.get(), bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail("write to the file", path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }

  void write_at(std::uint64_t offset, ByteView bytes) override {
    while (!bytes.empty()) {
      ssize_t done = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail("write to the file", path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(done));
      offset += static_cast<std::uint64_t>(done);
    }
  }

  void read_at(std::uint64_t offset, ByteSpan into) override {
    while (!into.empty()) {
      ssize_t done = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail("read the file", path_, errno);
      if (done == 0) {
        throw Error(errors::malformed, {.what = "the file ends early",
                                        .where = path_.string(),
                                        .found = "end of file at " + std::to_string(offset),
                                        .expected = std::to_string(into.size()) + " bytes more",
                                        .remedy = "restore the file from its source"});
      }
      into = into.subspan(static_cast<std::size_t>(done));
      offset += static_cast<std::uint64_t>(done);
    }
  }

  std::uint64_t size() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) fail("examine the file", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  void resize(std::uint64_t bytes) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) fail("resize", path_, errno);
  }

  void sync() override {
    if (::fsync(fd_.get()) != 0) fail("make the file durable", path_, errno);
  }

 private:
  Path path_;
  Fd fd_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::read_write:
      return O_RDWR;
    case OpenMode::create_exclusive:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::truncate:
      return O_RDWR | O_CREAT | O_TRUNC;
    case OpenMode::append:
      return O_RDWR | O_CREAT | O_APPEND;
  }
  throw Bug("unknown open mode");
}

class PosixFiles final : public FileSystem {
 public:
  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    Fd fd(::open(path.c_str(), flags_of(mode) | O_CLOEXEC, 0600));
    if (!fd) fail("open the file", path, errno);
    return std::make_unique<PosixFile>(path, std::move(fd));
  }

  bool exists(const Path& path) override {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
  }

  bool is_directory(const Path& path) override {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  }

  std::uint64_t file_size(const Path& path) override {
    return static_cast<std::uint64_t>(examine(path).st_size);
  }
  unsigned mode(const Path& path) override { return examine(path).st_mode & 07777U; }
  unsigned owner(const Path& path) override { return examine(path).st_uid; }

  void make_directories(const Path& path) override {
    if (path.empty() || is_directory(path)) return;
    if (path.has_parent_path() && path.parent_path() != path) make_directories(path.parent_path());
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      fail("make the directory", path, errno);
    }
  }

  void rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail("rename the file", from, errno);
  }

  void link(const Path& from, const Path& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) fail("create the file", to, errno);
  }

  bool remove(const Path& path) override {
    if (::remove(path.c_str()) == 0) return true;
    if (errno == ENOENT) return false;
    fail("remove", path, errno);
  }

  void remove_all(const Path& path) override {
    if (is_directory(path) && !std::filesystem::is_symlink(path)) {
      for (const std::string& name : list(path)) remove_all(path / name);
    }
    remove(path);
  }

  std::vector<std::string> list(const Path& path) override {
    std::vector<std::string> names;
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) {
      if (errno == ENOENT) return names;
      fail("list the directory", path, errno);
    }
    while (dirent* entry = ::readdir(directory)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  void sync_directory(const Path& path) override {
    Fd fd(::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) fail("open the directory", path, errno);
    if (::fsync(fd.get()) != 0) fail("make the directory durable", path, errno);
  }

  std::uint64_t free_bytes(const Path& path) override {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) fail("examine the file system", path, errno);
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  }

 private:
  static struct stat examine(const Path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) fail("examine", path, errno);
    return status;
  }
};

}  // namespace

FileSystem& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace concordat
