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

struct Advice {
  ErrorCode code;
  const char* expected;
  const char* remedy;
};

Advice advice_on(int error) {
  switch (error) {
    case ENOENT:
      return {errors::not_found, "a path that is there", "check the spelling of the path"};
    case EEXIST:
      return {errors::already_exists, "a name that is free",
              "what is there is never overwritten: choose another name or move it away"};
    case ENOSPC:
    case EDQUOT:
      return {errors::disk_full, "room on the file system",
              "free space or raise the quota, then run it again"};
    case EACCES:
    case EPERM:
    case EROFS:
      return {errors::io_failed, "a path that this user may use so",
              "check the owner and mode of the path, and how it is mounted"};
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
      return {errors::io_failed, "a path of the other kind, file or directory",
              "check what lies at the path"};
    case EMFILE:
    case ENFILE:
      return {errors::io_failed, "a file descriptor that is free",
              "raise the limit of open files (ulimit -n)"};
    default:
      return {errors::io_failed, "a file system that serves this user",
              "see the system's log for the disk or the mount, then run it again"};
  }
}

[[noreturn]] void fail(const char* action, const Path& path, int error) {
  const Advice advice = advice_on(error);
  throw Error(advice.code, {.what = std::string("cannot ") + action,
                            .where = path.string(),
                            .found = std::strerror(error),
                            .expected = advice.expected,
                            .remedy = advice.remedy});
}

constexpr std::size_t large_write = std::size_t{1} << 20U;
constexpr std::size_t smallest_direct = std::size_t{256} << 10U;
// Several requests of this size at once keep more of a disk busy than few large ones.
constexpr std::size_t most_read_at_once = std::size_t{1} << 20U;

class PosixFile final : public File {
 public:
  /// `direct` is the same file without the page cache, or nothing.
  PosixFile(Path path, Fd fd, Fd direct)
      : path_(std::move(path)), fd_(std::move(fd)), direct_(std::move(direct)) {}

  void write(ByteView bytes) override {
    while (!bytes.empty()) {
      ssize_t done = ::write(fd_.get(), bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail("write to the file", path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }

  void write_at(std::uint64_t offset, ByteView bytes) override {
    const std::size_t past_cache = write_direct(offset, bytes);
    offset += past_cache;
    bytes = bytes.subspan(past_cache);
    const auto begin = static_cast<off_t>(offset);
    const std::size_t count = bytes.size();
    while (!bytes.empty()) {
      ssize_t done = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail("write to the file", path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(done));
      offset += static_cast<std::uint64_t>(done);
    }
    // Large pieces are on their way to the disk while the caller makes the next one, so that sync()
    // finds little to wait for. A hint: where it is refused nothing is lost, and nothing is
    // durable.
    if (count >= large_write) {
      ::sync_file_range(fd_.get(), begin, static_cast<off_t>(count), SYNC_FILE_RANGE_WRITE);
    }
  }

  void read_at(std::uint64_t offset, ByteSpan into) override {
    const std::size_t past_cache = read_direct(offset, into);
    offset += past_cache;
    into = into.subspan(past_cache);
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

  std::uint64_t size() override { return static_cast<std::uint64_t>(examine().st_size); }
  unsigned mode() override { return examine().st_mode & 07777U; }
  unsigned owner() override { return examine().st_uid; }

  void resize(std::uint64_t bytes) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) fail("resize", path_, errno);
  }

  void sync() override {
    if (::fsync(fd_.get()) != 0) fail("make the file durable", path_, errno);
  }

 private:
  struct stat examine() {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) fail("examine the file", path_, errno);
    return status;
  }

  /// Writes what may go around the page cache; how many bytes from the beginning that was.
  std::size_t write_direct(std::uint64_t offset, ByteView bytes) {
    return move_direct(offset, bytes.data(), bytes.size(),
                       [&](std::size_t at, std::size_t count, off_t place) {
                         return ::pwrite(direct_.get(), bytes.data() + at, count, place);
                       });
  }

  /// The same of reading.
  std::size_t read_direct(std::uint64_t offset, ByteSpan into) {
    return move_direct(offset, into.data(), into.size(),
                       [&](std::size_t at, std::size_t count, off_t place) {
                         return ::pread(direct_.get(), into.data() + at,
                                        std::min(count, most_read_at_once), place);
                       });
  }

  /// move(at, count, place) moves `count` bytes between memory from `at` on and the file.
  template <typename Move>
  std::size_t move_direct(std::uint64_t offset, const std::uint8_t* memory, std::size_t size,
                          Move&& move) {
    const bool aligned = offset % direct_alignment == 0 &&
                         reinterpret_cast<std::uintptr_t>(memory) % direct_alignment == 0;
    if (!direct_ || !aligned || size < smallest_direct) return 0;
    const std::size_t whole = size / direct_alignment * direct_alignment;
    std::size_t at = 0;
    while (at < whole) {
      const ssize_t done = move(at, whole - at, static_cast<off_t>(offset + at));
      if (done < 0 && errno == EINTR) continue;
      // Refused here (a larger alignment is needed, or it is no file for this after all): from now
      // on as any other piece, which also finds out what is wrong.
      if (done < 0) direct_ = Fd();
      if (done <= 0) break;
      at += static_cast<std::size_t>(done);
      // A short one that ends off the grid: the rest goes the other way.
      if (at % direct_alignment != 0) break;
    }
    return at;
  }

  Path path_;
  Fd fd_;
  Fd direct_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
    case OpenMode::read_direct:
      return O_RDONLY | O_NONBLOCK;  // a pipe that lies where a file belongs must not hang us
    case OpenMode::read_write:
    case OpenMode::read_write_direct:
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
    Fd direct;
    if (mode == OpenMode::read_write_direct || mode == OpenMode::read_direct) {
      // The very file that is open already; file systems that cannot refuse here or when it is
      // used.
      const std::string same = "/proc/self/fd/" + std::to_string(fd.get());
      const int access = mode == OpenMode::read_direct ? O_RDONLY | O_NONBLOCK : O_WRONLY;
      direct = Fd(::open(same.c_str(), access | O_DIRECT | O_CLOEXEC));
    }
    return std::make_unique<PosixFile>(path, std::move(fd), std::move(direct));
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
    if (!path.has_filename()) return make_directories(path.parent_path());  // "a/b/"
    make_directories(path.parent_path());
    if (::mkdir(path.c_str(), 0700) == 0) {
      // A file that is durable inside is lost all the same with the name of its directory.
      sync_directory(path.parent_path());
    } else if (errno != EEXIST) {
      fail("make the directory", path, errno);
    } else if (!is_directory(path)) {
      fail("make the directory", path, ENOTDIR);
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
