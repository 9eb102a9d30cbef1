// Spill: the bytes of one request or answer on their way through a slow connection. What exceeds
// one piece lies in a file, so a slow peer costs one piece of memory however large the frame.
//
//   Spill spill(fs, folder / "connection-3.spill");
//   spill.begin(length);
//   while (...) spill.add(piece);
//   Bytes whole = spill.take();
//
// What is in the file is sealed already and worth nothing after a crash: it is never synced.
#pragma once

#include <memory>

#include "concordat/core/file.hpp"

namespace concordat::border {

inline constexpr std::size_t piece_bytes = 64U << 10U;

class Spill {
 public:
  Spill(FileSystem& fs, FileSystem::Path path) : fs_(fs), path_(std::move(path)) {}
  ~Spill();
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;

  void begin(std::uint64_t length);
  void add(ByteView piece);
  /// The whole, in memory. @pre everything was added.
  Bytes take();
  std::uint64_t size() const { return size_; }
  /// Reads a piece back. @pre offset + into.size() <= size().
  void read(std::uint64_t offset, ByteSpan into);

 private:
  FileSystem& fs_;
  FileSystem::Path path_;
  std::unique_ptr<File> file_;
  Bytes small_;
  std::uint64_t size_ = 0;
  bool in_file_ = false;
};

}  // namespace concordat::border
