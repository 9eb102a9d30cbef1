// Reads a log line by line in bounded memory, and tells a whole line from a torn tail.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "concordat/core/file.hpp"

namespace concordat::ledger {

class LineReader {
 public:
  LineReader(FileSystem& fs, const FileSystem::Path& path);
  /// The next line without its newline, or false at the end. The view lives until the next call.
  /// A line longer than an entry can be comes cut: the caller's parser refuses it by its length.
  bool next(std::string_view& line);
  /// Offset in the file of the first byte of the line that next() gave.
  std::uint64_t line_begin() const { return line_begin_; }
  /// Offset behind the last whole line; after the end, what follows it is a torn tail.
  std::uint64_t whole_end() const { return whole_end_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  bool fill();
  std::unique_ptr<File> file_;
  std::uint64_t file_bytes_;
  std::uint64_t read_at_ = 0;  // offset of the next byte to fetch
  std::string buffer_;
  std::size_t taken_ = 0;  // of buffer_
  std::uint64_t line_begin_ = 0;
  std::uint64_t whole_end_ = 0;
};

}  // namespace concordat::ledger
