// TensorBoard events: scalars in the file format that `tensorboard --logdir RUN` reads.
//
//   observe::TensorBoardWriter board(posix_files(), run_folder / "tensorboard", system_clock());
//   board.scalar("train/loss", 30, 2.31F);
//   board.sync();
//
// One file per writer, `events.out.tfevents.SECONDS.N`; a restarted run adds a file to the folder,
// and TensorBoard joins them by step. metrics.jsonl stays the source of truth. Threads: one.
// Failure: Error(io_failed | disk_full).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"

namespace concordat::observe {

class TensorBoardWriter {
 public:
  /// Creates the folder and a new file in it.
  TensorBoardWriter(FileSystem& fs, const FileSystem::Path& folder, const Clock& clock);
  void scalar(std::string_view tag, std::int64_t step, float value);
  /// Durable when it returns.
  void sync();

 private:
  void record(ByteView event);
  std::unique_ptr<File> file_;
  const Clock& clock_;
};

/// CRC-32C (Castagnoli), as the record format wants it.
std::uint32_t crc32c(ByteView bytes);

}  // namespace concordat::observe
