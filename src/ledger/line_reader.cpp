#include "ledger/line_reader.hpp"

#include <algorithm>

#include "concordat/ledger/entry.hpp"

namespace concordat::ledger {
namespace {
constexpr std::size_t chunk_bytes = 256U << 10U;
}

LineReader::LineReader(FileSystem& fs, const FileSystem::Path& path)
    : file_(fs.open(path, OpenMode::read)), file_bytes_(file_->size()) {}

bool LineReader::fill() {
  if (read_at_ == file_bytes_) return false;
  buffer_.erase(0, taken_);
  taken_ = 0;
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, file_bytes_ - read_at_));
  const std::size_t old = buffer_.size();
  buffer_.resize(old + count);
  file_->read_at(read_at_, {reinterpret_cast<std::uint8_t*>(buffer_.data() + old), count});
  read_at_ += count;
  return true;
}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = 0;  // of the bytes behind taken_
  std::uint64_t dropped = 0;
  for (;;) {
    const std::size_t end = buffer_.find('\n', taken_ + searched);
    if (end != buffer_.npos) {
      line = std::string_view(buffer_).substr(taken_, end - taken_);
      line_begin_ = whole_end_;
      whole_end_ += dropped + line.size() + 1;
      taken_ = end + 1;
      return true;
    }
    searched = buffer_.size() - taken_;
    // Keep just enough of an endless line for the parser to see that it is too long.
    if (searched > max_line_bytes + 1) {
      dropped += searched - (max_line_bytes + 1);
      buffer_.resize(taken_ + max_line_bytes + 1);
      searched = max_line_bytes + 1;
    }
    if (!fill()) return false;
  }
}

}  // namespace concordat::ledger
