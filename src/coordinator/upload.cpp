#include "coordinator/upload.hpp"

#include "concordat/border/errors.hpp"
#include "concordat/coordinator/errors.hpp"
#include "concordat/crypto/aead.hpp"

namespace concordat::coordinator {

Upload::Upload(const CoordinatorFolder& folder, const ExchangeId& exchange, SiteId site,
               border::FrameOpener opener)
    : site_(site), path_(folder.upload(exchange, site)), opener_(std::move(opener)) {
  FileSystem& fs = folder.files();
  bool there = fs.exists(path_);
  file_ = fs.open(path_, there ? OpenMode::read_write : OpenMode::create_exclusive);
  if (there) {
    find_end();
  } else {
    fs.sync_directory(folder.exchange(exchange));
  }
}

// Sealed parts have fixed places: in a vector all but the last have one size.
std::uint64_t Upload::offset_of(std::uint64_t position) const {
  std::uint64_t offset = 0;
  std::uint64_t left = position;
  for (const border::VectorShape& shape : table().vectors) {
    if (left < shape.num_blocks)
      return offset + left * (shape.block_bytes + crypto::aead_tag_bytes);
    if (shape.num_blocks == 0) continue;
    offset += (shape.num_blocks - 1) * (shape.block_bytes + crypto::aead_tag_bytes) +
              shape.last_block_bytes + crypto::aead_tag_bytes;
    left -= shape.num_blocks;
  }
  return offset;
}

// A crash may leave bytes that were never synced: what opens under the frame key is ours.
void Upload::find_end() {
  const std::uint64_t size = file_->size();
  Bytes sealed;
  Bytes plain;
  while (accepted_ < table().num_leaves()) {
    border::BlockPlace place = table().place(accepted_);
    plain.resize(table().block_bytes(place));
    sealed.resize(plain.size() + crypto::aead_tag_bytes);
    if (offset_of(accepted_) + sealed.size() > size) break;
    file_->read_at(offset_of(accepted_), sealed);
    try {
      opener_.open_stored(place, sealed, plain);
    } catch (const Error& error) {
      if (error.code() != border::errors::not_authentic) throw;
      break;
    }
    ++accepted_;
  }
  file_->resize(offset_of(accepted_));
  file_->sync();
  durable_ = accepted_;
}

void Upload::accept(ByteView wire) {
  border::OpenedBlock block = opener_.open(wire);
  std::uint64_t position = table().position(block.place);
  std::lock_guard lock(mutex_);
  if (position < accepted_) return;
  if (position > accepted_) {
    throw Error(errors::out_of_order, {.what = "a block frame does not follow the one before it",
                                       .where = "upload of site " + std::to_string(site_.value()),
                                       .found = "position " + std::to_string(position),
                                       .expected = "position " + std::to_string(accepted_),
                                       .remedy = "ask for the position and go on from there"});
  }
  file_->write_at(offset_of(position), border::FrameOpener::sealed_part(wire));
  ++accepted_;
}

std::uint64_t Upload::durable() const {
  std::lock_guard lock(mutex_);
  return durable_;
}

std::uint64_t Upload::flush() {
  std::lock_guard lock(mutex_);
  if (durable_ != accepted_) {
    file_->sync();
    durable_ = accepted_;
  }
  return durable_;
}

void Upload::read_block(std::uint64_t position, ByteSpan plain) {
  border::BlockPlace place = table().place(position);
  Bytes sealed(plain.size() + crypto::aead_tag_bytes);
  std::lock_guard lock(mutex_);
  file_->read_at(offset_of(position), sealed);
  try {
    opener_.open_stored(place, sealed, plain);
  } catch (const Error& error) {
    throw Error(errors::upload_damaged, {.what = "a stored upload does not open any more",
                                         .where = path_.string() + ", " + place.text(),
                                         .found = error.what(),
                                         .expected = "the bytes that were acknowledged",
                                         .remedy = "check the disk; the round cannot be summed"});
  }
}

}  // namespace concordat::coordinator
