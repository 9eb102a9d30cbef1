// A folder that a test owns: made fresh, removed at the end.
//
//   TemporaryFolder folder;
//   posix_files().open(folder.path() / "x", OpenMode::truncate);
#pragma once

#include <stdlib.h>

#include <stdexcept>
#include <string>

#include "concordat/core/file.hpp"

namespace concordat::testing_support {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "concordat-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { posix_files().remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Replaces a file's content without making it durable, which a test has no use for.
inline void overwrite(const std::filesystem::path& path, ByteView bytes) {
  posix_files().open(path, OpenMode::truncate)->write(bytes);
}

/// Flips one bit of a file: the smallest damage.
inline void flip_bit(const std::filesystem::path& path, std::uint64_t offset) {
  auto file = posix_files().open(path, OpenMode::read_write);
  std::uint8_t byte = 0;
  file->read_at(offset, {&byte, 1});
  byte = static_cast<std::uint8_t>(byte ^ 1U);
  file->write_at(offset, {&byte, 1});
}

}  // namespace concordat::testing_support
