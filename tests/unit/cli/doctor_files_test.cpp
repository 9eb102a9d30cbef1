// The doctor's checks of folders and of the clock, on file systems that lack one thing at a time.
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/doctor_checks.hpp"
#include "concordat/comm/threads.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "unit/cli/broken_files.hpp"
#include "unit/cli/findings.hpp"

namespace concordat::cli::doctor {
namespace {

using namespace testing_support;
using testing_support::Findings;
using testing_support::Level;

class FakeClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override { return now; }
  std::int64_t unix_seconds() const override { return seconds; }
  void sleep(std::chrono::nanoseconds duration) override {
    if (runs) now += duration;
  }
  std::chrono::nanoseconds now{1};
  std::int64_t seconds = 1'800'000'000;
  bool runs = true;
};

class DoctorFiles : public testing::Test {
 protected:
  DoctorFiles() { std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all); }

  FileSeams seams(FileSystem& fs) {
    FileSeams made{fs, system_clock(), [this](const Path&) { return type_; },
                   [this](const Path&) { return modified_; }, machine_files().held_for_others};
    if (lock_lies_) made.held_for_others = [](const Path&) { return false; };
    return made;
  }
  Findings check(FileSystem& fs) {
    auto findings = check_folder(seams(fs), {.folder = folder_.path(),
                                             .name = "run folder",
                                             .hdf5 = true,
                                             .hdf5_locking = locking_,
                                             .rate_bytes = 4U << 20U});
    expect_remedies(findings);
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "something was left behind";
    return findings;
  }

  TemporaryFolder folder_;
  BrokenFiles fs_;
  std::string type_ = "ext4";
  std::int64_t modified_ = 0;
  bool lock_lies_ = false;
  std::string locking_{};
};

TEST_F(DoctorFiles, AWholeFileSystemPasses) {
  const auto findings = check(fs_);
  EXPECT_TRUE(all_ok(findings));
  EXPECT_TRUE(has(findings, Level::ok, "lies on ext4"));
  EXPECT_TRUE(has(findings, Level::ok, "HDF5 creates, locks and reads"));
  EXPECT_TRUE(has(findings, Level::ok, "a role lock is seen by another process"));
  EXPECT_TRUE(has(findings, Level::ok, "written with fsync"));
}

TEST_F(DoctorFiles, Hdf5WithoutItsLocksIsSaidToBe) {
  locking_ = "FALSE";
  EXPECT_TRUE(has(check(fs_), Level::ok, "HDF5_USE_FILE_LOCKING=FALSE: without its own locks"));
}

TEST_F(DoctorFiles, TheRealMachinePassesToo) {
  auto machine = machine_files();
  EXPECT_NE(machine.type(folder_.path()), "unknown");
  EXPECT_EQ(machine.type("/proc/no-such-folder"), "unknown");
  const auto findings = check_folder(machine, {.folder = folder_.path(), .name = "site folder"});
  EXPECT_EQ(exit_code(findings), ExitCode::done) << text_of(findings);
}

TEST_F(DoctorFiles, WhatIsMissingIsNamedWithItsStep) {
  fs_.renames = false;
  EXPECT_TRUE(has(check(fs_), Level::fail, "rename over a file does not work"));
  fs_.renames = true;
  fs_.links = false;
  EXPECT_TRUE(has(check(fs_), Level::fail, "link does not work"));
  fs_.links = true;
  fs_.syncs_directories = false;
  EXPECT_TRUE(has(check(fs_), Level::fail, "fsync of a folder does not work"));
  fs_.syncs_directories = true;
  fs_.creates_exclusively = false;
  EXPECT_TRUE(has(check(fs_), Level::fail, "created a second time", "two jobs"));
  fs_.creates_exclusively = true;
  fs_.reads_back = false;
  EXPECT_TRUE(has(check(fs_), Level::fail, "other bytes"));
}

TEST_F(DoctorFiles, ALockThatOthersDoNotSeeFails) {
  lock_lies_ = true;
  EXPECT_TRUE(has(check(fs_), Level::fail, "a role lock is not seen", "flock"));
}

TEST_F(DoctorFiles, AFullDiskAtAnyPointIsAFinding) {
  FaultyFiles faulty;
  const FolderRequest request{
      .folder = folder_.path(), .name = "run folder", .hdf5 = true, .rate_bytes = 4U << 20U};
  EXPECT_EQ(exit_code(check_folder(seams(faulty), request)), ExitCode::done);
  const std::uint64_t changes = faulty.changes();
  ASSERT_GT(changes, 10U);
  // The last change is the clean-up, which has nothing to say.
  for (std::uint64_t change = 1; change < changes; ++change) {
    faulty.fail_at(change);
    const auto findings = check_folder(seams(faulty), request);
    EXPECT_EQ(exit_code(findings), ExitCode::data) << "fault at " << change;
    faulty.heal();
    for (const std::string& name : posix_files().list(folder_.path())) {
      posix_files().remove_all(folder_.path() / name);
    }
  }
}

TEST_F(DoctorFiles, SpaceIsComparedWithWhatARunNeeds) {
  FolderRequest request{.folder = folder_.path(),
                        .name = "run folder",
                        .needed_bytes = 3U << 30U,
                        .least_bytes = 1U << 30U,
                        .need = "three checkpoints"};
  fs_.free = 4ULL << 30U;
  EXPECT_TRUE(all_ok(check_folder(seams(fs_), request)));
  fs_.free = 2ULL << 30U;
  EXPECT_TRUE(
      has(check_folder(seams(fs_), request), Level::warn, "three checkpoints need", "free space"));
  fs_.free = 1ULL << 29U;
  EXPECT_TRUE(has(check_folder(seams(fs_), request), Level::fail, "three checkpoints need"));
}

TEST_F(DoctorFiles, AnOpenFolderFails) {
  FolderRequest request{.folder = folder_.path(), .name = "run folder", .only_owner = true};
  EXPECT_TRUE(all_ok(check_folder(seams(fs_), request)));
  fs_.any_mode = 0777U;
  EXPECT_TRUE(has(check_folder(seams(fs_), request), Level::fail, "mode 0777", "chmod 0700"));
}

TEST_F(DoctorFiles, TypesThatForgetOrMisleadWarn) {
  for (const char* type : {"tmpfs", "overlay", "fuse"}) {
    type_ = type;
    EXPECT_TRUE(has(check(fs_), Level::warn, type)) << type;
  }
}

TEST_F(DoctorFiles, AFolderThatIsNotThereYetIsCheckedWhereItWillBe) {
  const Path later = folder_.path() / "runs" / "first";
  const auto findings = check_folder(seams(fs_), {.folder = later, .name = "run folder"});
  EXPECT_TRUE(has(findings, Level::ok, "not there yet"));
  EXPECT_FALSE(std::filesystem::exists(later));
  EXPECT_EQ(nearest_folder(fs_, later), folder_.path());
}

TEST_F(DoctorFiles, AFileServerWithAnotherClockWarns) {
  const std::int64_t now = system_clock().unix_seconds();
  modified_ = now;
  EXPECT_TRUE(all_ok(check_clock(seams(fs_), folder_.path())));
  modified_ = now - 60;
  EXPECT_TRUE(has(check_clock(seams(fs_), folder_.path()), Level::warn, "behind", "NTP"));
  modified_ = now + 60;
  EXPECT_TRUE(has(check_clock(seams(fs_), folder_.path()), Level::warn, "ahead of"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(DoctorFiles, TheClockLeavesNothingBehindWhereItsFileCannotBeSynced) {
  fs_.syncs_files = false;
  EXPECT_TRUE(has(check_clock(seams(fs_), folder_.path()), Level::fail, "cannot fsync"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(DoctorFiles, TheFastTierIsCheckedLikeTheRunFolder) {
  const Path fast = folder_.path() / "scratch";
  FolderRequest request{.folder = fast / "alba" / "first",
                        .name = {},
                        .needed_bytes = 2U << 30U,
                        .least_bytes = 1U << 30U,
                        .need = "two checkpoints"};
  EXPECT_TRUE(has(check_fast_folder(seams(fs_), fast, request), Level::fail,
                  "is not there on this node", "create it on every node"));
  posix_files().make_directories(fast);
  fs_.free = 4ULL << 30U;
  auto findings = check_fast_folder(seams(fs_), fast, request);
  EXPECT_TRUE(all_ok(findings));
  EXPECT_TRUE(has(findings, Level::ok, "fast tier"));
  EXPECT_TRUE(has(findings, Level::ok, "HDF5 creates"));
  fs_.free = 3ULL << 29U;
  EXPECT_TRUE(has(check_fast_folder(seams(fs_), fast, request), Level::warn, "two checkpoints need",
                  "choose another checkpoint.fast"));
  fs_.free = 1ULL << 29U;
  EXPECT_TRUE(has(check_fast_folder(seams(fs_), fast, request), Level::fail, "two checkpoints"));
  fs_.free.reset();
  posix_files().make_directories(request.folder);
  fs_.any_mode = 0755U;
  EXPECT_TRUE(
      has(check_fast_folder(seams(fs_), fast, request), Level::fail, "mode 0755", "chmod 0700"));
  EXPECT_TRUE(std::filesystem::is_empty(request.folder));
}

TEST_F(DoctorFiles, AClockThatStandsOrIsYearsOffFails) {
  FakeClock clock;
  FileSeams made{fs_, clock, {}, {}, {}};
  EXPECT_TRUE(all_ok(check_clock(made, "")));
  clock.runs = false;
  EXPECT_TRUE(has(check_clock(made, ""), Level::fail, "does not go forward"));
  clock.runs = true;
  clock.seconds = 40;
  EXPECT_TRUE(has(check_clock(made, ""), Level::fail, "1970"));
}

comm::PlacementReport two_hosts() {
  comm::PlacementReport report;
  for (int r = 0; r < 2; ++r) {
    report.ranks.emplace_back();
    report.ranks.back().rank = r;
    report.ranks.back().host = r == 0 ? "node1" : "node2";
  }
  return report;
}

TEST(DoctorClocks, HostsThatAreApartAreNamed) {
  EXPECT_TRUE(all_ok(check_clocks({100, 101}, two_hosts())));
  const auto findings = check_clocks({100, 160}, two_hosts());
  EXPECT_TRUE(has(findings, Level::warn, "node2 and node1"));
  EXPECT_TRUE(has(findings, Level::warn, "60 s apart"));
}

TEST(DoctorSharedFolder, RanksSeeFilesAndLocksOrAreNamed) {
  TemporaryFolder folder;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    const auto seen = check_shared_folder(comm, machine_files(), folder.path(), two_hosts());
    if (comm.rank() == 0) {
      EXPECT_TRUE(has(seen, Level::ok, "all ranks see"));
    } else {
      EXPECT_TRUE(seen.empty());
    }
  });
  // Rank 1 on a node where the folder is another one: its file system reads other bytes.
  comm::run_threads(2, [&](comm::Communicator& comm) {
    BrokenFiles fs;
    fs.reads_back = comm.rank() == 0;
    FileSeams seams = machine_files();
    FileSeams mine{fs, seams.clock, seams.type, seams.modified, seams.held_for_others};
    const auto seen = check_shared_folder(comm, mine, folder.path(), two_hosts());
    if (comm.rank() != 0) return;
    EXPECT_TRUE(has(seen, Level::fail, "rank 1 on node2 does not see", "file system"));
  });
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace concordat::cli::doctor
