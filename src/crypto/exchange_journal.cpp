#include "concordat/crypto/exchange_journal.hpp"

#include <algorithm>

#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::crypto {
namespace {

constexpr std::string_view magic = "concordat journal v1\n";
// u32 length, then 8 bytes of a digest over (chain, length): a flipped bit in a length is told from
// a torn tail before the length is believed.
constexpr std::size_t frame_bytes = 4 + 8;
constexpr std::size_t chain_bytes = 32;

Bytes frame_of(const Digest& chain, std::uint32_t length) {
  ByteWriter out;
  out.u32(length);
  Digest check =
      Sha256().update(as_bytes("length")).update(chain.view()).update(out.bytes()).finish();
  out.raw(check.view().first(8));
  return std::move(out).bytes();
}

Digest chain_of(const Digest& chain, ByteView body) {
  return Sha256().update(as_bytes("record")).update(chain.view()).update(body).finish();
}

[[noreturn]] void fail(const std::string& path, std::uint64_t offset, std::string what,
                       std::string expected) {
  throw Error(errors::journal_damaged,
              {.what = std::move(what),
               .where = path,
               .found = "other bytes at offset " + std::to_string(offset),
               .expected = std::move(expected),
               .remedy = "restore the journal; a site that lost it comes back only with a rotated "
                         "key"});
}

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

bool zero_from(File& file, std::uint64_t at, std::uint64_t end) {
  Bytes piece;
  for (; at < end; at += piece.size()) {
    piece.resize(std::min<std::uint64_t>(end - at, 1U << 16U));
    file.read_at(at, piece);
    if (!all_zero(piece)) return false;
  }
  return true;
}

// What stands at `at`: a record, or the remains of an append that a crash interrupted.
struct Scan {
  bool torn = false;
  Bytes body;
  Digest chain;
};

Scan scan(File& file, const std::string& path, const Digest& chain, std::uint64_t at,
          std::uint64_t end) {
  if (end - at < frame_bytes) return {.torn = true, .body = {}, .chain = {}};
  Bytes frame(frame_bytes);
  file.read_at(at, frame);
  std::uint32_t length = ByteReader(frame, path).u32();
  if (frame != frame_of(chain, length)) {
    // Some file systems show an unfinished append as zeros.
    if (zero_from(file, at, end)) return {.torn = true, .body = {}, .chain = {}};
    fail(path, at, "a journal record's length is damaged", "a length with its check");
  }
  std::uint64_t record_end = at + frame_bytes + length + chain_bytes;
  if (record_end > end) return {.torn = true, .body = {}, .chain = {}};
  Scan found;
  found.body.resize(length);
  file.read_at(at + frame_bytes, found.body);
  Bytes stored(chain_bytes);
  file.read_at(at + frame_bytes + length, stored);
  found.chain = chain_of(chain, found.body);
  if (!std::ranges::equal(stored, found.chain.view())) {
    // Only the last record can have been in flight.
    if (record_end != end) {
      fail(path, at, "a journal record is damaged", "a record with its chain value");
    }
    found.torn = true;
  }
  return found;
}

}  // namespace

ExchangeJournal ExchangeJournal::open(FileSystem& fs, const FileSystem::Path& path,
                                      const Replay& replay) {
  ExchangeJournal journal;
  journal.path_ = path.string();
  if (!fs.exists(path)) {
    // Complete with its first line or not there: so an empty journal is damage, not youth.
    create_atomically(fs, path, as_bytes(magic));
  }
  journal.file_ = fs.open(path, OpenMode::read_write);
  // What stands there may be in the page cache alone: a kill between the write and its fsync. It is
  // acted upon and acknowledged from here on, so it is made durable before anybody sees it.
  journal.file_->sync();
  fs.sync_directory(path.has_parent_path() ? path.parent_path() : FileSystem::Path("."));
  const std::uint64_t size = journal.file_->size();
  Bytes first(std::min<std::uint64_t>(size, magic.size()));
  journal.file_->read_at(0, first);
  if (to_string(first) != magic) {
    fail(journal.path_, 0, "a file is not a journal", "its first line \"concordat journal v1\"");
  }
  journal.head_ = sha256(as_bytes(magic));
  journal.end_ = magic.size();
  while (journal.end_ < size) {
    Scan record = scan(*journal.file_, journal.path_, journal.head_, journal.end_, size);
    if (record.torn) break;
    if (replay) replay({journal.num_records_, journal.end_, record.body});
    journal.head_ = record.chain;
    journal.end_ += frame_bytes + record.body.size() + chain_bytes;
    ++journal.num_records_;
  }
  journal.torn_bytes_ = size - journal.end_;
  if (journal.torn_bytes_ > 0) {
    journal.file_->resize(journal.end_);
    journal.file_->sync();
  }
  return journal;
}

std::uint64_t ExchangeJournal::append(ByteView body) {
  CONCORDAT_REQUIRE(!body.empty() && body.size() <= max_record_bytes, std::to_string(body.size()));
  if (failed_) {
    throw Error(concordat::errors::io_failed,
                {.what = "an earlier append to the journal failed",
                 .where = path_,
                 .found = "a tail of unknown content",
                 .expected = "an intact tail",
                 .remedy = "free space if the disk is full, then start the role again"});
  }
  Digest next = chain_of(head_, body);
  ByteWriter out;
  out.raw(frame_of(head_, static_cast<std::uint32_t>(body.size())));
  out.raw(body);
  out.digest(next);
  // Until sync() returns the record does not exist for anybody.
  failed_ = true;
  file_->write_at(end_, out.bytes());
  file_->sync();
  failed_ = false;
  std::uint64_t offset = end_;
  end_ += out.bytes().size();
  head_ = next;
  ++num_records_;
  return offset;
}

Bytes ExchangeJournal::read(std::uint64_t offset) {
  CONCORDAT_REQUIRE(offset >= magic.size() && offset + frame_bytes <= end_, std::to_string(offset));
  // The chain value before a record is the last field of the one before it, if there is one.
  Digest before = sha256(as_bytes(magic));
  if (offset > magic.size()) {
    file_->read_at(offset - chain_bytes, before.bytes);
  }
  Scan found = scan(*file_, path_, before, offset, end_);
  if (found.torn) fail(path_, offset, "a journal record is damaged", "a whole record");
  return std::move(found.body);
}

}  // namespace concordat::crypto
