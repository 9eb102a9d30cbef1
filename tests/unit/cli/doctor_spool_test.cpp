// The doctor's checks of the road spool.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cli/doctor_checks.hpp"
#include "support/temporary_folder.hpp"
#include "unit/cli/broken_files.hpp"
#include "unit/cli/findings.hpp"

namespace concordat::cli::doctor {
namespace {

using namespace testing_support;
using testing_support::Findings;
using testing_support::Level;

constexpr std::int64_t now = 1'800'000'000;

class DoctorSpool : public testing::Test {
 protected:
  Findings check(SpoolRequest request = {}) {
    request.folder = spool_;
    auto findings = check_spool(fs_, request, now);
    expect_remedies(findings);
    for (const Finding& finding : findings) EXPECT_EQ(finding.topic, "reach");
    return findings;
  }
  void put(const std::string& name, std::int64_t unix_seconds) {
    fs_.make_directories((spool_ / name).parent_path());
    overwrite(spool_ / name, Bytes(1024));
    const timespec time{.tv_sec = unix_seconds, .tv_nsec = 0};
    const timespec both[2] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, (spool_ / name).c_str(), both, 0), 0);
  }
  TemporaryFolder folder_;
  BrokenFiles fs_;
  Path spool_ = folder_.path() / "spool";
};

TEST_F(DoctorSpool, AFolderThatWillBeMadePassesAndIsNotMade) {
  const auto findings = check();
  EXPECT_TRUE(all_ok(findings));
  EXPECT_TRUE(has(findings, Level::ok, "is not there yet, where it will be made"));
  EXPECT_TRUE(has(findings, Level::ok, "no address is dialled"));
  EXPECT_TRUE(fs_.list(folder_.path()).empty());
}

TEST_F(DoctorSpool, WhatDoesNotWorkThereFails) {
  put("up/a.spool", now);
  fs_.renames = false;
  EXPECT_TRUE(has(check(), Level::fail, "cannot be used: ", "federation.spool"));
  fs_.renames = true;
  fs_.syncs_files = false;
  EXPECT_TRUE(has(check(), Level::fail, "cannot be used: "));
  fs_.syncs_files = true;
  fs_.syncs_directories = false;
  EXPECT_TRUE(has(check(), Level::fail, "cannot be used: "));
  EXPECT_TRUE(has(check({.only_border = true}), Level::warn, "only the border needs the spool"));
  fs_.syncs_directories = true;
  EXPECT_TRUE(all_ok(check()));
  EXPECT_EQ(fs_.list(spool_ / "up"), std::vector<std::string>{"a.spool"});
}

TEST_F(DoctorSpool, AFileInTheFoldersPlaceFails) {
  overwrite(spool_, as_bytes("no folder"));
  fs_.make_directories(folder_.path() / "other");
  EXPECT_TRUE(has(check({.needed_bytes = 0}), Level::fail, "cannot be used: "));
}

TEST_F(DoctorSpool, TooLittleSpaceIsWarnedOf) {
  fs_.free = 1U << 20U;
  EXPECT_TRUE(all_ok(check({.needed_bytes = 1U << 20U})));
  EXPECT_TRUE(has(check({.needed_bytes = (1U << 20U) + 1}), Level::warn,
                  "a round's blocks up and down need", "another federation.spool"));
}

TEST_F(DoctorSpool, WhatNobodyCarriesIsWarnedOf) {
  put("up/a.spool", now - spool_is_late_s + 1);
  EXPECT_TRUE(all_ok(check()));
  EXPECT_TRUE(has(check(), Level::ok, "up 1 file, 1.0 KiB, the oldest for 9:59; down nothing"));
  put("up/b.spool", now - 720);
  EXPECT_TRUE(has(check(), Level::warn, "up 2 files, 2.0 KiB, the oldest for 12:00",
                  "concordat slurm init --role=mover"));
  // At the other end the same files have come, and wait for the coordinator, if it runs.
  EXPECT_TRUE(all_ok(check({.end = SpoolEnd::coordinator, .site = "alba"})));
  EXPECT_TRUE(has(check({.end = SpoolEnd::coordinator, .site = "alba", .runs = true}), Level::warn,
                  "the coordinator runs and has not taken up/", "see its log"));
}

TEST_F(DoctorSpool, WhatTheBorderDoesNotTakeIsWarnedOf) {
  put("down/a.spool", now - 720);
  EXPECT_TRUE(all_ok(check()));
  EXPECT_TRUE(has(check({.runs = true}), Level::warn, "the border runs and has not taken down/",
                  "has this folder for its spool"));
  EXPECT_TRUE(has(check({.end = SpoolEnd::coordinator, .site = "alba"}), Level::warn,
                  "the spool of alba ", "start the mover"));
}

}  // namespace
}  // namespace concordat::cli::doctor
