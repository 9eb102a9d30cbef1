// The file seam. The product touches files only through it, so that tests can tear writes, lie
// about fsync, fill the disk and crash between any two calls.
//
//   FileSystem& fs = posix_files();
//   write_atomically(fs, "LATEST", as_bytes("step-000120\n"));   // temp, fsync, rename, fsync dir
//   auto file = fs.open("rank-0.blocks", OpenMode::create_exclusive);
//   file->write(bytes);
//   file->sync();
//
// Failure: Error(io_failed | not_found | already_exists | disk_full) naming path and errno.
// Threads: a FileSystem is safe from many threads; a File belongs to one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat {

inline constexpr std::size_t direct_alignment = 4096;

enum class OpenMode {
  read,
  read_direct,  ///< the same for data that nobody reads again soon, as read_write_direct
  read_write,   ///< existing file
  /// The same for data that nobody reads soon: where the file system can, large pieces whose place
  /// and address are multiples of `direct_alignment` go around the page cache.
  read_write_direct,
  create_exclusive,  ///< fails with already_exists
  truncate,          ///< create or empty
  append,            ///< create or continue at the end
};

class File {
 public:
  virtual ~File() = default;
  /// Appends at the file position; writes everything or throws.
  virtual void write(ByteView bytes) = 0;
  virtual void write_at(std::uint64_t offset, ByteView bytes) = 0;
  /// Reads exactly into.size() bytes or throws Error(malformed, "ends early").
  virtual void read_at(std::uint64_t offset, ByteSpan into) = 0;
  virtual std::uint64_t size() = 0;
  virtual void resize(std::uint64_t bytes) = 0;
  /// Permission bits (07777) and user of the file that is open, whatever its path names by now.
  virtual unsigned mode() = 0;
  virtual unsigned owner() = 0;
  /// Durable when it returns, also what another process wrote and did not sync.
  virtual void sync() = 0;
};

class FileSystem {
 public:
  using Path = std::filesystem::path;
  virtual ~FileSystem() = default;
  /// Files that are created get mode 0600.
  virtual std::unique_ptr<File> open(const Path& path, OpenMode mode) = 0;
  virtual bool exists(const Path& path) = 0;
  virtual bool is_directory(const Path& path) = 0;
  virtual std::uint64_t file_size(const Path& path) = 0;
  /// Permission bits (07777) of the path.
  virtual unsigned mode(const Path& path) = 0;
  virtual unsigned owner(const Path& path) = 0;
  /// Creates the directory and its parents with mode 0700; each that was not there is durable in
  /// its parent when it returns.
  virtual void make_directories(const Path& path) = 0;
  virtual void rename(const Path& from, const Path& to) = 0;
  /// A second name for a file; fails with already_exists, so it creates exclusively.
  virtual void link(const Path& from, const Path& to) = 0;
  /// Removes a file or an empty directory; false if it was not there.
  virtual bool remove(const Path& path) = 0;
  virtual void remove_all(const Path& path) = 0;
  /// Names in the directory, sorted; empty if it does not exist.
  virtual std::vector<std::string> list(const Path& path) = 0;
  virtual void sync_directory(const Path& path) = 0;
  virtual std::uint64_t free_bytes(const Path& path) = 0;
};

/// The real file system; lives for the whole program.
FileSystem& posix_files();

/// Whole file. @throws Error(malformed) if it is larger than max_bytes.
Bytes read_file(FileSystem& fs, const FileSystem::Path& path, std::uint64_t max_bytes = 1U << 30U);
std::string read_text(FileSystem& fs, const FileSystem::Path& path,
                      std::uint64_t max_bytes = 64U << 20U);
/// Replaces `path` so that a crash leaves the old or the new content, durably.
void write_atomically(FileSystem& fs, const FileSystem::Path& path, ByteView bytes);
/// Like write_atomically but fails with already_exists if `path` is there (link, not rename).
void create_atomically(FileSystem& fs, const FileSystem::Path& path, ByteView bytes);

/// A lock file naming host, pid and job, held until destruction.
/// @throws Error(in_use) with the holder's line when another process holds it.
class RoleLock {
 public:
  RoleLock(const FileSystem::Path& path, std::string_view role);
  RoleLock(RoleLock&&) noexcept;
  RoleLock& operator=(RoleLock&&) = delete;
  ~RoleLock();

 private:
  int fd_ = -1;
};

/// The line of the process that holds the lock, or nullopt if nobody does. Takes nothing.
std::optional<std::string> role_holder(const FileSystem::Path& path);

}  // namespace concordat
