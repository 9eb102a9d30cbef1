// A file system whose next log write is torn: it writes the first bytes, then fails as a full disk.
// With `skip_sync` nothing is made durable, for tests that write much and crash nowhere.
#pragma once

#include <memory>
#include <utility>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::ledger::testing {

class FaultyFiles final : public FileSystem {
 public:
  /// The next File::write of any file keeps this many bytes and throws; -1: none.
  long tear_after = -1;
  bool fail_sync = false;
  bool skip_sync = false;

  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    return std::make_unique<FaultyFile>(*this, real_.open(path, mode));
  }
  bool exists(const Path& path) override { return real_.exists(path); }
  bool is_directory(const Path& path) override { return real_.is_directory(path); }
  std::uint64_t file_size(const Path& path) override { return real_.file_size(path); }
  unsigned mode(const Path& path) override { return real_.mode(path); }
  unsigned owner(const Path& path) override { return real_.owner(path); }
  void make_directories(const Path& path) override { real_.make_directories(path); }
  void rename(const Path& from, const Path& to) override { real_.rename(from, to); }
  void link(const Path& from, const Path& to) override { real_.link(from, to); }
  bool remove(const Path& path) override { return real_.remove(path); }
  void remove_all(const Path& path) override { real_.remove_all(path); }
  std::vector<std::string> list(const Path& path) override { return real_.list(path); }
  void sync_directory(const Path& path) override {
    if (!skip_sync) real_.sync_directory(path);
  }
  std::uint64_t free_bytes(const Path& path) override { return real_.free_bytes(path); }

 private:
  class FaultyFile final : public File {
   public:
    FaultyFile(FaultyFiles& owner, std::unique_ptr<File> real)
        : owner_(owner), real_(std::move(real)) {}
    void write(ByteView bytes) override {
      const long keep = std::exchange(owner_.tear_after, -1);
      if (keep < 0) return real_->write(bytes);
      real_->write(bytes.first(static_cast<std::size_t>(keep)));
      throw Error(concordat::errors::disk_full, {.what = "planted"});
    }
    void write_at(std::uint64_t offset, ByteView bytes) override { real_->write_at(offset, bytes); }
    void read_at(std::uint64_t offset, ByteSpan into) override { real_->read_at(offset, into); }
    std::uint64_t size() override { return real_->size(); }
    void resize(std::uint64_t bytes) override { real_->resize(bytes); }
    void sync() override {
      if (std::exchange(owner_.fail_sync, false)) {
        throw Error(concordat::errors::io_failed, {.what = "planted"});
      }
      if (!owner_.skip_sync) real_->sync();
    }

   private:
    FaultyFiles& owner_;
    std::unique_ptr<File> real_;
  };

  FileSystem& real_ = posix_files();
};

}  // namespace concordat::ledger::testing
