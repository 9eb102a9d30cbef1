// FaultyFiles: the real file system with a fault at the n-th change (write, sync, rename, link,
// remove, resize). A full disk writes half of the bytes first, as the real one does. Syncs are
// counted and not done: no test here pulls the plug, and real ones take most of a test's time.
//
//   FaultyFiles fs;
//   fs.fail_at(3);                       // the third change from now throws disk_full
//   EXPECT_ERROR(journal.append(x), errors::disk_full);
//   fs.changes();                        // how many there were, to loop over all of them
//   fs.remember_unsynced = true;         // from now on; copies a file at its first change
//   fs.power_cut();                      // takes back what no sync or sync_directory came after
#pragma once

#include <atomic>
#include <limits>
#include <map>
#include <set>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"

namespace concordat::testing_support {

class FaultyFiles final : public FileSystem {
 public:
  void fail_at(std::uint64_t change) {
    changes_ = 0;
    fail_at_ = change;
  }
  void heal() { fail_at_ = std::numeric_limits<std::uint64_t>::max(); }
  std::uint64_t changes() const { return changes_; }

  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    if (mode != OpenMode::read && mode != OpenMode::read_direct && mode != OpenMode::read_write &&
        mode != OpenMode::read_write_direct) {
      change(path);
      if (!real_.exists(path)) note_name(path);
    }
    return std::make_unique<FaultyFile>(*this, path, real_.open(path, mode));
  }
  bool exists(const Path& path) override { return real_.exists(path); }
  bool is_directory(const Path& path) override { return real_.is_directory(path); }
  std::uint64_t file_size(const Path& path) override { return real_.file_size(path); }
  unsigned mode(const Path& path) override { return real_.mode(path); }
  unsigned owner(const Path& path) override { return real_.owner(path) + extra_owner; }
  void make_directories(const Path& path) override {
    change(path);
    real_.make_directories(path);
  }
  void rename(const Path& from, const Path& to) override {
    change(from);
    real_.rename(from, to);
  }
  void link(const Path& from, const Path& to) override {
    change(from);
    real_.link(from, to);
    note_name(to);
  }
  bool remove(const Path& path) override {
    change(path);
    return real_.remove(path);
  }
  void remove_all(const Path& path) override {
    change(path);
    real_.remove_all(path);
  }
  std::vector<std::string> list(const Path& path) override { return real_.list(path); }
  void sync_directory(const Path& path) override {
    change(path);
    std::erase_if(new_names_, [&](const Path& name) { return name.parent_path() == path; });
  }
  std::uint64_t free_bytes(const Path& path) override { return real_.free_bytes(path); }

  /// Every file as its last sync left it, and without the names that no sync_directory followed.
  void power_cut() {
    for (const auto& [path, content] : durable_) {
      if (!real_.exists(path)) continue;
      auto file = real_.open(path, OpenMode::read_write);
      file->resize(0);
      file->write_at(0, content);
    }
    for (const Path& name : new_names_) real_.remove(name);
    durable_.clear();
    new_names_.clear();
  }

  unsigned extra_owner = 0;  ///< added to every owner: files of somebody else
  unsigned extra_mode = 0;   ///< of files that are open: another file than the path names
  bool remember_unsynced = false;

 private:
  class FaultyFile final : public File {
   public:
    FaultyFile(FaultyFiles& fs, Path path, std::unique_ptr<File> file)
        : fs_(fs), path_(std::move(path)), file_(std::move(file)) {}
    void write(ByteView bytes) override {
      fs_.note_content(path_);
      try {
        fs_.change(path_);
      } catch (const Error&) {
        file_->write(bytes.first(bytes.size() / 2));
        throw;
      }
      file_->write(bytes);
    }
    void write_at(std::uint64_t offset, ByteView bytes) override {
      fs_.note_content(path_);
      try {
        fs_.change(path_);
      } catch (const Error&) {
        file_->write_at(offset, bytes.first(bytes.size() / 2));
        throw;
      }
      file_->write_at(offset, bytes);
    }
    void read_at(std::uint64_t offset, ByteSpan into) override { file_->read_at(offset, into); }
    std::uint64_t size() override { return file_->size(); }
    void resize(std::uint64_t bytes) override {
      fs_.change(path_);
      fs_.note_content(path_);
      file_->resize(bytes);
    }
    unsigned mode() override { return file_->mode() | fs_.extra_mode; }
    unsigned owner() override { return file_->owner() + fs_.extra_owner; }
    void sync() override {
      fs_.change(path_);
      fs_.durable_.erase(path_);
    }

   private:
    FaultyFiles& fs_;
    Path path_;
    std::unique_ptr<File> file_;
  };

  // After the fault everything fails, as after a crash: clean-up code cannot help either.
  void change(const Path& path) {
    if (++changes_ < fail_at_) return;
    throw Error(errors::disk_full, {.what = "a fault that a test asked for",
                                    .where = path.string(),
                                    .found = "change " + std::to_string(changes_),
                                    .expected = {},
                                    .remedy = {}});
  }

  void note_content(const Path& path) {
    if (remember_unsynced && !durable_.contains(path)) durable_[path] = read_file(real_, path);
  }
  void note_name(const Path& path) {
    if (remember_unsynced) new_names_.insert(path);
  }

  FileSystem& real_ = posix_files();
  std::map<Path, Bytes> durable_;  ///< of files with changes that are not synced
  std::set<Path> new_names_;
  std::atomic<std::uint64_t> changes_ = 0;
  std::atomic<std::uint64_t> fail_at_ = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace concordat::testing_support
