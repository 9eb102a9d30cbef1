// BrokenFiles: the real file system without one of the things that a run needs.
#pragma once

#include <optional>
#include <string>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::testing_support {

class BrokenFiles final : public FileSystem {
 public:
  bool renames = true;
  bool links = true;
  bool creates_exclusively = true;
  bool syncs_directories = true;
  bool syncs_files = true;
  bool reads_back = true;
  std::optional<std::uint64_t> free{};  ///< instead of the real one
  std::optional<unsigned> any_mode{};

  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    if (mode == OpenMode::create_exclusive && !creates_exclusively) mode = OpenMode::truncate;
    return std::make_unique<BrokenFile>(*this, path, real_.open(path, mode));
  }
  bool exists(const Path& path) override { return real_.exists(path); }
  bool is_directory(const Path& path) override { return real_.is_directory(path); }
  std::uint64_t file_size(const Path& path) override { return real_.file_size(path); }
  unsigned mode(const Path& path) override { return any_mode.value_or(real_.mode(path)); }
  unsigned owner(const Path& path) override { return real_.owner(path); }
  void make_directories(const Path& path) override { real_.make_directories(path); }
  void rename(const Path& from, const Path& to) override {
    if (!renames) refuse("rename", from);
    real_.rename(from, to);
  }
  void link(const Path& from, const Path& to) override {
    if (!links) refuse("link", from);
    real_.link(from, to);
  }
  bool remove(const Path& path) override { return real_.remove(path); }
  void remove_all(const Path& path) override { real_.remove_all(path); }
  std::vector<std::string> list(const Path& path) override { return real_.list(path); }
  void sync_directory(const Path& path) override {
    if (!syncs_directories) refuse("fsync", path);
    real_.sync_directory(path);
  }
  std::uint64_t free_bytes(const Path& path) override {
    return free.value_or(real_.free_bytes(path));
  }

 private:
  class BrokenFile final : public File {
   public:
    BrokenFile(const BrokenFiles& fs, Path path, std::unique_ptr<File> file)
        : fs_(fs), path_(std::move(path)), file_(std::move(file)) {}
    void write(ByteView bytes) override { file_->write(bytes); }
    void write_at(std::uint64_t offset, ByteView bytes) override { file_->write_at(offset, bytes); }
    void read_at(std::uint64_t offset, ByteSpan into) override {
      file_->read_at(offset, into);
      if (!fs_.reads_back && !into.empty()) into[into.size() / 2] ^= 1U;
    }
    std::uint64_t size() override { return file_->size(); }
    void resize(std::uint64_t bytes) override { file_->resize(bytes); }
    unsigned mode() override { return file_->mode(); }
    unsigned owner() override { return file_->owner(); }
    void sync() override {
      if (!fs_.syncs_files) refuse("fsync", path_);
      file_->sync();
    }

   private:
    const BrokenFiles& fs_;
    Path path_;
    std::unique_ptr<File> file_;
  };

  [[noreturn]] static void refuse(const char* action, const Path& path) {
    throw Error(errors::io_failed, {.what = std::string("cannot ") + action,
                                    .where = path.string(),
                                    .found = "Operation not supported",
                                    .expected = {},
                                    .remedy = {}});
  }

  FileSystem& real_ = posix_files();
};

}  // namespace concordat::testing_support
