#include "concordat/core/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "concordat/core/error.hpp"

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

}  // namespace
}  // namespace concordat
