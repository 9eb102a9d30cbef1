#include "border/spill.hpp"

#include <algorithm>

namespace concordat::border {

Spill::~Spill() {
  if (!file_) return;
  file_.reset();
  try {
    fs_.remove(path_);
  } catch (const std::exception&) {
    // The name is reused (truncated) by the next start; nothing depends on it.
  }
}

void Spill::begin(std::uint64_t length) {
  small_.clear();
  size_ = 0;
  in_file_ = length > piece_bytes;
  if (in_file_ && !file_) file_ = fs_.open(path_, OpenMode::truncate);
}

void Spill::add(ByteView piece) {
  if (in_file_) {
    file_->write_at(size_, piece);
  } else {
    small_.insert(small_.end(), piece.begin(), piece.end());
  }
  size_ += piece.size();
}

void Spill::read(std::uint64_t offset, ByteSpan into) {
  if (in_file_) {
    file_->read_at(offset, into);
  } else {
    std::copy_n(small_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  }
}

Bytes Spill::take() {
  Bytes whole(size_);
  read(0, whole);
  return whole;
}

}  // namespace concordat::border
