#include "concordat/core/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "concordat/core/error.hpp"
#include "concordat/core/storage.hpp"
#include "support/expect_error.hpp"

namespace {

// The paths that were made durable, in order.
std::vector<std::filesystem::path>& synced_paths() {
  static std::vector<std::filesystem::path> paths;
  return paths;
}

}  // namespace

// Stands before the C library's in this program: what the real file system asks for is written
// down, then done.
extern "C" int fsync(int fd) {
  synced_paths().push_back(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace concordat {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "concordat-file-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { posix_files().remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(FileTest, WritesAtomicallyWithPrivateMode) {
  auto path = folder_ / "LATEST";
  write_atomically(posix_files(), path, as_bytes("one"));
  write_atomically(posix_files(), path, as_bytes("two"));
  EXPECT_EQ(read_text(posix_files(), path), "two");
  EXPECT_EQ(posix_files().mode(path), 0600U);
  EXPECT_EQ(posix_files().list(folder_).size(), 1U);
}

TEST_F(FileTest, CreatesExclusively) {
  auto path = folder_ / "COMMIT";
  create_atomically(posix_files(), path, as_bytes("one"));
  try {
    create_atomically(posix_files(), path, as_bytes("two"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::already_exists);
  }
  EXPECT_EQ(read_text(posix_files(), path), "one");
  EXPECT_EQ(posix_files().list(folder_).size(), 1U);
}

TEST_F(FileTest, MissingAndShortFilesAreTypedErrors) {
  try {
    read_file(posix_files(), folder_ / "none");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::not_found);
    EXPECT_NE(error.fields().where.find("none"), std::string::npos);
  }
  write_atomically(posix_files(), folder_ / "short", as_bytes("abc"));
  Bytes buffer(4);
  EXPECT_THROW(posix_files().open(folder_ / "short", OpenMode::read)->read_at(0, buffer), Error);
  EXPECT_THROW(read_file(posix_files(), folder_ / "short", 2), Error);
}

TEST_F(FileTest, EveryNewDirectoryIsDurableInItsParent) {
  const auto real = std::filesystem::canonical(folder_);
  synced_paths().clear();
  posix_files().make_directories(folder_ / "journal" / "run" / "receipts");
  const std::vector<std::filesystem::path> parents = {real, real / "journal",
                                                      real / "journal" / "run"};
  EXPECT_EQ(synced_paths(), parents);
  EXPECT_EQ(posix_files().mode(folder_ / "journal" / "run" / "receipts"), 0700U);
  synced_paths().clear();
  posix_files().make_directories(folder_ / "journal" / "run" / "secrets");
  EXPECT_EQ(synced_paths(), std::vector<std::filesystem::path>({real / "journal" / "run"}));
  synced_paths().clear();
  posix_files().make_directories(folder_ / "journal" / "run" / "secrets" / "");
  EXPECT_TRUE(synced_paths().empty()) << "nothing was made";
}

TEST_F(FileTest, AFileInTheWayOfADirectoryIsAnError) {
  write_atomically(posix_files(), folder_ / "journal", as_bytes("a file"));
  EXPECT_THROW(posix_files().make_directories(folder_ / "journal"), Error);
  EXPECT_THROW(posix_files().make_directories(folder_ / "journal" / "run"), Error);
}

TEST_F(FileTest, AnOpenFileTellsItsOwnModeAndOwner) {
  const auto path = folder_ / "data.key";
  write_atomically(posix_files(), path, as_bytes("private"));
  auto file = posix_files().open(path, OpenMode::read);
  write_atomically(posix_files(), path, as_bytes("another file under the same name"));
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(file->mode(), 0600U);
  EXPECT_EQ(file->owner(), ::geteuid());
  EXPECT_EQ(posix_files().mode(path), 0644U);
}

// The kernel's own ENOSPC, not one that a test made.
TEST_F(FileTest, AFullDiskIsSaidAsSuch) {
  auto full = posix_files().open("/dev/full", OpenMode::read_write);
  for (bool at_an_offset : {false, true}) {
    try {
      if (at_an_offset) {
        full->write_at(4096, as_bytes("weights"));
      } else {
        full->write(as_bytes("weights"));
      }
      FAIL() << "written to a full disk";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), errors::disk_full);
      EXPECT_EQ(error.exit_code(), ExitCode::data);
      EXPECT_EQ(error.severity(), Severity::process);
      EXPECT_EQ(error.fields().what, "cannot write to the file");
      EXPECT_EQ(error.fields().where, "/dev/full");
      EXPECT_EQ(error.fields().found, "No space left on device");
      EXPECT_EQ(error.fields().expected, "room on the file system");
      EXPECT_EQ(error.fields().remedy, "free space or raise the quota, then run it again");
    }
  }
}

TEST_F(FileTest, EveryFailureSaysWhatToDo) {
  const auto file = folder_ / "file";
  write_atomically(posix_files(), file, as_bytes("one"));
  const std::vector<std::function<void()>> failures = {
      [&] { posix_files().open(folder_ / "none", OpenMode::read); },
      [&] { posix_files().open(file, OpenMode::create_exclusive); },
      [&] { posix_files().open(folder_, OpenMode::read_write); },
      [&] { posix_files().list(file); },
      [&] { posix_files().open(std::string(5000, 'x'), OpenMode::read); },
      [&] { from_hex("xy", "here"); },
  };
  for (const auto& failure : failures) {
    try {
      failure();
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_FALSE(error.fields().where.empty()) << error.what();
      EXPECT_FALSE(error.fields().found.empty()) << error.what();
      EXPECT_FALSE(error.fields().expected.empty()) << error.what();
      EXPECT_FALSE(error.fields().remedy.empty()) << error.what();
    }
  }
}

TEST_F(FileTest, ALockNamesItsHolderAndDiesWithIt) {
  auto path = folder_ / "train.lock";
  pid_t child = ::fork();
  if (child == 0) {
    RoleLock lock(path, "train");
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_GT(child, 0);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(role_holder(path));
  RoleLock lock(path, "train");
  EXPECT_NE(role_holder(path).value_or("").find("role=train"), std::string::npos);
  try {
    RoleLock second(path, "train");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::in_use);
    EXPECT_NE(error.fields().found.find("pid=" + std::to_string(::getpid())), std::string::npos);
  }
}

std::size_t pages_in_cache(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  const std::size_t bytes = std::filesystem::file_size(path);
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  std::vector<unsigned char> pages((bytes + 4095) / 4096);
  EXPECT_EQ(::mincore(mapped, bytes, pages.data()), 0);
  ::munmap(mapped, bytes);
  ::close(fd);
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1U; }));
}

TEST_F(FileTest, ADirectFileHoldsWhatAnyFileWouldWhateverTheAddressesAre) {
  constexpr std::size_t unit = direct_alignment;
  constexpr std::size_t bytes = 300 * unit;
  const StoragePtr storage = make_host_storage(2 * bytes);
  auto* memory = reinterpret_cast<std::uint8_t*>(storage->data());
  for (std::size_t i = 0; i < 2 * bytes; ++i)
    memory[i] = static_cast<std::uint8_t>(i * 31 + i / 4093);
  struct Piece {
    std::size_t place, from, count;
  };
  const auto path = folder_ / "state";
  Bytes expected(4 * bytes, 0);
  {
    posix_files().open(path, OpenMode::create_exclusive)->resize(expected.size());
    auto file = posix_files().open(path, OpenMode::read_write_direct);
    for (const Piece& piece :
         {Piece{0, 0, bytes}, Piece{bytes, unit, bytes - 17}, Piece{2 * bytes, 64, bytes},
          Piece{2 * bytes + 5, unit, 100 * unit}, Piece{3 * bytes, 0, 3 * unit},
          Piece{3 * bytes - unit, 0, 70 * unit}}) {
      file->write_at(piece.place, {memory + piece.from, piece.count});
      std::copy_n(memory + piece.from, piece.count,
                  expected.begin() + static_cast<long>(piece.place));
    }
    file->sync();
  }
  EXPECT_EQ(read_file(posix_files(), path), expected);
  auto file = posix_files().open(path, OpenMode::read_direct);
  for (const Piece& piece :
       {Piece{0, 0, bytes}, Piece{unit, unit, bytes - 17}, Piece{2 * bytes, 64, bytes},
        Piece{2 * bytes + 5, unit, 100 * unit}, Piece{3 * bytes - unit, 3 * unit, 70 * unit + 1}}) {
    std::fill_n(memory, 2 * bytes, std::uint8_t{0});
    file->read_at(piece.place, {memory + piece.from, piece.count});
    EXPECT_TRUE(std::equal(memory + piece.from, memory + piece.from + piece.count,
                           expected.begin() + static_cast<long>(piece.place)))
        << piece.place;
    EXPECT_EQ(memory[piece.from + piece.count], 0) << "nothing behind what was asked for";
  }
  EXPECT_ERROR_SAYS(file->read_at(3 * bytes, {memory, 2 * bytes}), errors::malformed, "ends early");
}

TEST_F(FileTest, ADirectFileGoesAroundThePageCacheWhereTheFileSystemCan) {
  const auto path = folder_ / "state";
  constexpr std::size_t bytes = 512 * direct_alignment;
  const StoragePtr storage = make_host_storage(bytes);
  posix_files().open(path, OpenMode::create_exclusive)->resize(bytes);
  const int fd = ::open(path.c_str(), O_WRONLY | O_DIRECT);
  const bool able = fd >= 0 && ::pwrite(fd, storage->data(), direct_alignment, 0) > 0;
  if (fd >= 0) ::close(fd);
  // Some take the flag and cache all the same: tmpfs does since Linux 6.6.
  if (!able || pages_in_cache(path) != 0)
    GTEST_SKIP() << folder_ << " lies on a file system without direct access";
  auto* memory = reinterpret_cast<std::uint8_t*>(storage->data());
  const ByteView all{memory, bytes};
  posix_files().open(path, OpenMode::read_write_direct)->write_at(0, all);
  EXPECT_EQ(pages_in_cache(path), 0U);
  posix_files().open(path, OpenMode::read_direct)->read_at(0, {memory, bytes});
  EXPECT_EQ(pages_in_cache(path), 0U);
  posix_files().open(path, OpenMode::read_write)->write_at(0, all);
  EXPECT_EQ(pages_in_cache(path), 512U) << "else the line above says nothing";
}

}  // namespace
}  // namespace concordat
