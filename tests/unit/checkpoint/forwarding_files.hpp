// ForwardingFiles: the real file system as a base for fakes that change one thing.
//
//   class ReadOnlyFiles : public ForwardingFiles { ... };
#pragma once

#include <condition_variable>
#include <mutex>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::testing_support {

class ForwardingFile : public File {
 public:
  explicit ForwardingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  void write(ByteView bytes) override { file_->write(bytes); }
  void write_at(std::uint64_t offset, ByteView bytes) override { file_->write_at(offset, bytes); }
  void read_at(std::uint64_t offset, ByteSpan into) override { file_->read_at(offset, into); }
  std::uint64_t size() override { return file_->size(); }
  void resize(std::uint64_t bytes) override { file_->resize(bytes); }
  unsigned mode() override { return file_->mode(); }
  unsigned owner() override { return file_->owner(); }
  void sync() override { file_->sync(); }

 private:
  std::unique_ptr<File> file_;
};

class ForwardingFiles : public FileSystem {
 public:
  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    return real_.open(path, mode);
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
  void sync_directory(const Path& path) override { real_.sync_directory(path); }
  std::uint64_t free_bytes(const Path& path) override { return real_.free_bytes(path); }

 protected:
  FileSystem& real_ = posix_files();
};

/// Writes at an offset wait while the gate is closed, below one folder only if it is given. Safe
/// from many threads.
class GatedFiles final : public ForwardingFiles {
 public:
  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    const bool gated = path.string().starts_with(only_below.string());
    if (!gated) return real_.open(path, mode);
    return std::make_unique<GatedFile>(*this, real_.open(path, mode));
  }
  void set_open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  int waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }
  Path only_below{};
  /// Waits until so many writes stand before the gate.
  void wait_for_waiting(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }

 private:
  class GatedFile final : public ForwardingFile {
   public:
    GatedFile(GatedFiles& fs, std::unique_ptr<File> file)
        : ForwardingFile(std::move(file)), fs_(fs) {}
    void write_at(std::uint64_t offset, ByteView bytes) override {
      fs_.pass();
      ForwardingFile::write_at(offset, bytes);
    }

   private:
    GatedFiles& fs_;
  };
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    --waiting_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int waiting_ = 0;
};

/// Every change fails as on a file system that is mounted read-only.
class ReadOnlyFiles final : public ForwardingFiles {
 public:
  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    if (mode != OpenMode::read && mode != OpenMode::read_direct) refuse(path);
    return real_.open(path, mode);
  }
  void make_directories(const Path& path) override {
    if (!real_.is_directory(path)) refuse(path);
  }
  void rename(const Path& from, const Path&) override { refuse(from); }
  void link(const Path& from, const Path&) override { refuse(from); }
  bool remove(const Path& path) override { refuse(path); }
  void remove_all(const Path& path) override { refuse(path); }

 private:
  [[noreturn]] static void refuse(const Path& path) {
    throw Error(errors::io_failed, {.what = "the file system is read-only",
                                    .where = path.string(),
                                    .found = {},
                                    .expected = {},
                                    .remedy = {}});
  }
};

}  // namespace concordat::testing_support
