#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "concordat/border/spool_road.hpp"
#include "concordat/core/error.hpp"
#include "support/temporary_folder.hpp"

namespace concordat::border {
namespace {

using testing_support::overwrite;
using testing_support::TemporaryFolder;

void put(const FileSystem::Path& path, std::size_t bytes, std::int64_t unix_seconds) {
  overwrite(path, Bytes(bytes));
  const timespec time{.tv_sec = unix_seconds, .tv_nsec = 0};
  const timespec both[2] = {time, time};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), both, 0), 0);
}

TEST(SpoolLook, AFolderThatIsNotThereHoldsNothing) {
  const TemporaryFolder folder;
  const SpoolLook look = look_at_spool(posix_files(), folder.path() / "none");
  EXPECT_EQ(look.up.files, 0U);
  EXPECT_EQ(look.down.bytes, 0U);
  EXPECT_EQ(look.up.oldest_unix_seconds, 0);
}

TEST(SpoolLook, CountsFinishedFilesOfEachWay) {
  const TemporaryFolder folder;
  for (const char* way : {"up", "down"}) posix_files().make_directories(folder.path() / way);
  put(folder.path() / "up" / "b.spool", 100, 2000);
  put(folder.path() / "up" / "a.spool", 11, 3000);
  put(folder.path() / "down" / "c.spool", 7, 4000);
  // Half-written: by the road, by rsync.
  put(folder.path() / "up" / "d.spool.tmp-17-1", 1000, 1);
  put(folder.path() / "up" / ".e.spool.Ab3dEf", 1000, 1);
  const SpoolLook look = look_at_spool(posix_files(), folder.path());
  EXPECT_EQ(look.up.files, 2U);
  EXPECT_EQ(look.up.bytes, 111U);
  EXPECT_EQ(look.up.oldest_unix_seconds, 2000);
  EXPECT_EQ(look.down.files, 1U);
  EXPECT_EQ(look.down.bytes, 7U);
  EXPECT_EQ(look.down.oldest_unix_seconds, 4000);
  EXPECT_TRUE(posix_files().exists(folder.path() / "up" / "d.spool.tmp-17-1"));
}

TEST(SpoolLook, AFileThatIsTakenMeanwhileIsNotThere) {
  const TemporaryFolder folder;
  posix_files().make_directories(folder.path() / "down");
  put(folder.path() / "down" / "a.spool", 5, 1000);
  // What it names is gone, as a file between listing and looking.
  std::filesystem::create_symlink("taken", folder.path() / "down" / "b.spool");
  const SpoolLook look = look_at_spool(posix_files(), folder.path());
  EXPECT_EQ(look.down.files, 1U);
  EXPECT_EQ(look.down.bytes, 5U);
}

}  // namespace
}  // namespace concordat::border
