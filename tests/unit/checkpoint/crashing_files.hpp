// CrashingFiles: the real file system, which at the n-th change loses power. What was not synced
// is lost: bytes of unsynced writes become zeros, renames whose directory was not synced are
// undone. From then on every call throws Crash, so that no clean-up code helps. A sync is only
// noted, not done, so that hundreds of crashes take seconds.
//
//   CrashingFiles fs;
//   fs.crash_at(7, CrashingFiles::Loss::unsynced);
//   try { save_generation(...); } catch (const std::exception&) {}
//   fs.crashed();                       // did it come that far
//
// Safe from many threads, as the ranks of `threads` need it.
#pragma once

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <type_traits>

#include "concordat/core/file.hpp"

namespace concordat::testing_support {

struct Crash final : std::runtime_error {
  Crash() : std::runtime_error("the power failed") {}
};

class CrashingFiles final : public FileSystem {
 public:
  enum class Loss { nothing, unsynced };

  void crash_at(std::uint64_t change, Loss loss) {
    crash_at_ = change;
    loss_ = loss;
  }
  bool crashed() const { return crashed_; }
  /// Now, between two changes: what was not synced is lost.
  void power_cut() {
    std::lock_guard lock(mutex_);
    crashed_ = true;
    lose();
  }
  std::uint64_t changes() const { return changes_; }
  /// Syncs of files succeed and do nothing; renames are durable, as in a journalling file system.
  bool lies_about_syncs = false;
  std::uint64_t free = std::numeric_limits<std::uint64_t>::max();  ///< what free_bytes says at most

  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    std::lock_guard lock(mutex_);
    const bool reads = mode == OpenMode::read || mode == OpenMode::read_direct;
    if (reads) {
      alive();
    } else {
      change([] {});
    }
    auto file = std::make_unique<CrashingFile>(*this, path, real_.open(path, mode));
    // Another library may have written before: its bytes are not durable either.
    if (!reads) dirty_[path].insert(file.get());
    return file;
  }
  bool exists(const Path& path) override {
    return query([&] { return real_.exists(path); });
  }
  bool is_directory(const Path& path) override {
    return query([&] { return real_.is_directory(path); });
  }
  std::uint64_t file_size(const Path& path) override {
    return query([&] { return real_.file_size(path); });
  }
  unsigned mode(const Path& path) override {
    return query([&] { return real_.mode(path); });
  }
  unsigned owner(const Path& path) override {
    return query([&] { return real_.owner(path); });
  }
  std::vector<std::string> list(const Path& path) override {
    return query([&] { return real_.list(path); });
  }
  std::uint64_t free_bytes(const Path& path) override {
    return query([&] { return std::min(free, real_.free_bytes(path)); });
  }
  void make_directories(const Path& path) override {
    std::lock_guard lock(mutex_);
    change([] {});
    real_.make_directories(path);
  }
  void rename(const Path& from, const Path& to) override {
    std::lock_guard lock(mutex_);
    change([] {});
    const bool replaced = real_.exists(to);
    real_.rename(from, to);
    move_dirty(from, to);
    if (!replaced) renames_.push_back({from, to});
  }
  void link(const Path& from, const Path& to) override {
    std::lock_guard lock(mutex_);
    change([] {});
    real_.link(from, to);
  }
  bool remove(const Path& path) override {
    std::lock_guard lock(mutex_);
    change([] {});
    return real_.remove(path);
  }
  void remove_all(const Path& path) override {
    std::lock_guard lock(mutex_);
    // Half of it is gone when the power fails here.
    change([&] {
      if (real_.exists(path / "manifest.json")) real_.remove(path / "manifest.json");
    });
    real_.remove_all(path);
    std::erase_if(renames_, [&](const auto& r) { return r.second == path; });
  }
  void sync_directory(const Path& path) override {
    std::lock_guard lock(mutex_);
    change([] {});
    std::erase_if(renames_, [&](const auto& r) { return r.second.parent_path() == path; });
  }

 private:
  class CrashingFile final : public File {
   public:
    CrashingFile(CrashingFiles& fs, Path path, std::unique_ptr<File> file)
        : fs_(fs), path_(std::move(path)), file_(std::move(file)) {}
    void write(ByteView bytes) override {
      std::lock_guard lock(fs_.mutex_);
      fs_.change([&] { file_->write(bytes.first(bytes.size() / 2)); });
      file_->write(bytes);
      fs_.dirty_[path_].insert(this);
    }
    void write_at(std::uint64_t offset, ByteView bytes) override {
      std::lock_guard lock(fs_.mutex_);
      fs_.change([&] { file_->write_at(offset, bytes.first(bytes.size() / 2)); });
      file_->write_at(offset, bytes);
      fs_.dirty_[path_].insert(this);
    }
    void read_at(std::uint64_t offset, ByteSpan into) override {
      std::lock_guard lock(fs_.mutex_);
      fs_.alive();
      file_->read_at(offset, into);
    }
    std::uint64_t size() override {
      std::lock_guard lock(fs_.mutex_);
      fs_.alive();
      return file_->size();
    }
    void resize(std::uint64_t bytes) override {
      std::lock_guard lock(fs_.mutex_);
      fs_.change([] {});
      file_->resize(bytes);
    }
    unsigned mode() override {
      std::lock_guard lock(fs_.mutex_);
      fs_.alive();
      return file_->mode();
    }
    unsigned owner() override {
      std::lock_guard lock(fs_.mutex_);
      fs_.alive();
      return file_->owner();
    }
    void sync() override {
      std::lock_guard lock(fs_.mutex_);
      fs_.change([] {});
      if (!fs_.lies_about_syncs) fs_.dirty_[path_].erase(this);
    }

   private:
    CrashingFiles& fs_;
    Path path_;
    std::unique_ptr<File> file_;
  };

  void alive() const {
    if (crashed_) throw Crash();
  }
  template <typename Work>
  std::invoke_result_t<Work> query(Work work) {
    std::lock_guard lock(mutex_);
    alive();
    return work();
  }
  /// `torn` is what the change leaves behind when the power fails during it.
  template <typename Torn>
  void change(Torn torn) {
    alive();
    if (++changes_ < crash_at_) return;
    crashed_ = true;
    torn();
    if (loss_ == Loss::unsynced) lose();
    throw Crash();
  }
  void lose() {
    for (auto undo = renames_.rbegin(); undo != renames_.rend(); ++undo) {
      if (!real_.exists(undo->second)) continue;
      real_.rename(undo->second, undo->first);
      move_dirty(undo->second, undo->first);
    }
    for (const auto& [path, writers] : dirty_) {
      if (writers.empty() || !real_.exists(path)) continue;
      const Bytes zeros(real_.file_size(path), 0);
      real_.open(path, OpenMode::read_write)->write_at(0, zeros);
    }
  }
  void move_dirty(const Path& from, const Path& to) {
    std::map<Path, std::set<const File*>> moved;
    for (auto& [path, writers] : dirty_) {
      const Path relative = path.lexically_relative(from);
      const bool inside = path == from || (!relative.empty() && *relative.begin() != "..");
      moved[!inside ? path : path == from ? to : to / relative] = writers;
    }
    dirty_ = std::move(moved);
  }

  FileSystem& real_ = posix_files();
  std::mutex mutex_;
  std::uint64_t changes_ = 0;
  std::uint64_t crash_at_ = std::numeric_limits<std::uint64_t>::max();
  Loss loss_ = Loss::nothing;
  bool crashed_ = false;
  std::map<Path, std::set<const File*>> dirty_;  ///< by path: open files with unsynced bytes
  std::vector<std::pair<Path, Path>> renames_;   ///< not yet durable
};

}  // namespace concordat::testing_support
