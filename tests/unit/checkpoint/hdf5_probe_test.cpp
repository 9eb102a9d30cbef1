#include "concordat/checkpoint/hdf5_probe.hpp"

#include <gtest/gtest.h>

#include "concordat/checkpoint/errors.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/forwarding_files.hpp"

namespace concordat::checkpoint {
namespace {

using namespace testing_support;

TEST(Hdf5Probe, AFolderThatTakesHdf5IsLeftAsItWas) {
  TemporaryFolder folder;
  probe_hdf5(posix_files(), folder.path());
  EXPECT_TRUE(posix_files().list(folder.path()).empty());
}

TEST(Hdf5Probe, AFolderThatDoesNotSaysSo) {
  TemporaryFolder folder;
  EXPECT_ERROR_SAYS(probe_hdf5(posix_files(), folder.path() / "nowhere"),
                    concordat::errors::not_found, "nowhere");
  FaultyFiles faulty;
  faulty.fail_at(3);  // the values: creation and its sync went well
  EXPECT_ERROR(probe_hdf5(faulty, folder.path()), concordat::errors::disk_full);
}

/// What is written must be what the library reads: here the seam writes something else.
class OtherValues final : public ForwardingFiles {
 public:
  std::unique_ptr<File> open(const Path& path, OpenMode mode) override {
    return std::make_unique<Changed>(real_.open(path, mode));
  }

 private:
  class Changed final : public ForwardingFile {
   public:
    using ForwardingFile::ForwardingFile;
    void write_at(std::uint64_t offset, ByteView bytes) override {
      Bytes other(bytes.begin(), bytes.end());
      other.at(other.size() / 2) ^= 1U;
      ForwardingFile::write_at(offset, other);
    }
  };
};

TEST(Hdf5Probe, OtherValuesThanWereWrittenAreNoticed) {
  TemporaryFolder folder;
  OtherValues fs;
  EXPECT_ERROR_SAYS(probe_hdf5(fs, folder.path()), errors::hdf5_failed, "other values");
}

TEST(Hdf5Probe, TheLibraryThatIsLoadedIsNamed) {
  const Hdf5Library library = hdf5_versions();
  EXPECT_TRUE(library.loaded.starts_with("HDF5 1.") || library.loaded.starts_with("HDF5 2."));
  EXPECT_TRUE(library.built_with.starts_with("HDF5 "));
}

}  // namespace
}  // namespace concordat::checkpoint
