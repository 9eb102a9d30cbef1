// One site's upload on disk: the sealed parts of its frames, one after the other, as they came.
// They are encrypted under the frame key, which lies in the sealed header beside them.
//
//   Upload upload(folder, exchange, site, FrameOpener(header, peers));   // finds what is there
//   upload.accept(frame_wire);          // verifies, writes; not durable yet
//   std::uint64_t position = upload.flush();
//   upload.read_block(position, plain);
//
// Memory: one block while one is handled. Threads: any; calls are serialised.
#pragma once

#include <mutex>

#include "concordat/border/frames.hpp"
#include "coordinator/exchange_files.hpp"

namespace concordat::coordinator {

class Upload {
 public:
  /// Continues a file that is there, after its last block that opens.
  Upload(const CoordinatorFolder& folder, const ExchangeId& exchange, SiteId site,
         border::FrameOpener opener);
  const border::FrameTable& table() const { return opener_.table(); }
  /// A frame that is there already is verified and not written again.
  /// @throws Error(border.not_authentic | malformed | coordinator.out_of_order).
  void accept(ByteView wire);
  /// Blocks that are durable.
  std::uint64_t durable() const;
  /// Makes what was accepted durable; returns the position.
  std::uint64_t flush();
  bool complete() const { return durable() == table().num_leaves(); }
  /// Opens a stored block. @throws Error(coordinator.upload_damaged).
  void read_block(std::uint64_t position, ByteSpan plain);

 private:
  std::uint64_t offset_of(std::uint64_t position) const;
  void find_end();

  SiteId site_;
  FileSystem::Path path_;
  border::FrameOpener opener_;
  std::unique_ptr<File> file_;
  mutable std::mutex mutex_;
  std::uint64_t accepted_ = 0;
  std::uint64_t durable_ = 0;
};

}  // namespace concordat::coordinator
