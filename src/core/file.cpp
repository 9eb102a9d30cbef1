#include "concordat/core/file.hpp"

#include <unistd.h>

#include <atomic>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

using Path = FileSystem::Path;

Path folder_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

// Distinct per process and call, so that two writers never share a temporary file.
Path temporary_for(const Path& path) {
  static std::atomic<unsigned> counter{0};
  Path temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  return temporary;
}

void write_temporary(FileSystem& fs, const Path& temporary, ByteView bytes) {
  fs.remove(temporary);
  auto file = fs.open(temporary, OpenMode::create_exclusive);
  file->write(bytes);
  file->sync();
}

}  // namespace

Bytes read_file(FileSystem& fs, const Path& path, std::uint64_t max_bytes) {
  auto file = fs.open(path, OpenMode::read);
  std::uint64_t size = file->size();
  if (size > max_bytes) {
    throw Error(errors::malformed, {.what = "the file is larger than its bound",
                                    .where = path.string(),
                                    .found = std::to_string(size) + " bytes",
                                    .expected = "at most " + std::to_string(max_bytes),
                                    .remedy = "check that this is the right file"});
  }
  Bytes bytes(size);
  file->read_at(0, bytes);
  return bytes;
}

std::string read_text(FileSystem& fs, const Path& path, std::uint64_t max_bytes) {
  return to_string(read_file(fs, path, max_bytes));
}

void write_atomically(FileSystem& fs, const Path& path, ByteView bytes) {
  Path temporary = temporary_for(path);
  write_temporary(fs, temporary, bytes);
  fs.rename(temporary, path);
  fs.sync_directory(folder_of(path));
}

void create_atomically(FileSystem& fs, const Path& path, ByteView bytes) {
  Path temporary = temporary_for(path);
  write_temporary(fs, temporary, bytes);
  try {
    fs.link(temporary, path);
  } catch (...) {
    fs.remove(temporary);
    throw;
  }
  fs.remove(temporary);
  fs.sync_directory(folder_of(path));
}

}  // namespace concordat
