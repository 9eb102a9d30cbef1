#include "concordat/checkpoint/inspect.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/file_time.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

class Inspect : public testing::Test {
 protected:
  void save(std::uint64_t step) {
    const auto self = comm::self_communicator();
    TestState state(*self, {1, 1, 1, 1});
    state.fill(1);
    save_generation(*self, posix_files(), folder_.path(), {.step = step, .round = step / 10},
                    state.tensors, {{"layout", "here"}}, {.keep = 5});
  }
  std::vector<Listed> rows() { return inspect_folder(posix_files(), folder_.path()); }
  testing_support::TemporaryFolder folder_;
};

TEST_F(Inspect, ListsGenerationsNewestFirstThenTheRest) {
  for (std::uint64_t step : {10, 20, 30}) save(step);
  save(25);  // sets 30 aside
  std::filesystem::create_directory(folder_.path() / ".new-step-000026");
  std::filesystem::create_directory(folder_.path() / ".old-step-000005");
  std::filesystem::create_directory(folder_.path() / "notes");
  std::vector<std::pair<std::string, Standing>> found;
  for (const auto& row : rows()) found.emplace_back(row.name, row.standing);
  const std::vector<std::pair<std::string, Standing>> expected{
      {"step-000025", Standing::generation},      {"step-000020", Standing::generation},
      {"step-000010", Standing::generation},      {"set-aside-step-000030", Standing::set_aside},
      {".new-step-000026", Standing::unfinished}, {".old-step-000005", Standing::removed}};
  EXPECT_EQ(found, expected);
}

TEST_F(Inspect, ARowSaysWhatTheManifestSaysAndWhenItWasSaved) {
  save(20);
  const auto all = rows();
  ASSERT_EQ(all.size(), 1U);
  const Listed& row = all.front();
  EXPECT_TRUE(row.latest);
  EXPECT_EQ(row.reason, "");
  ASSERT_TRUE(row.manifest);
  EXPECT_EQ(row.manifest->position.round, 2U);
  EXPECT_EQ(row.manifest->metadata.at("layout"), "here");
  EXPECT_EQ(row.bytes, row.manifest->file_bytes);
  const auto file = folder_.path() / "step-000020" / "manifest.json";
  EXPECT_EQ(row.saved_unix_seconds, modified_unix_seconds(file));
  EXPECT_GT(row.saved_unix_seconds, 1'700'000'000);
}

TEST_F(Inspect, WhatCannotBeReadIsARowWithTheReason) {
  for (std::uint64_t step : {10, 20, 30}) save(step);
  std::filesystem::resize_file(folder_.path() / "step-000030" / "state.h5", 5000);
  std::ofstream(folder_.path() / "step-000020" / "manifest.json") << "{";
  std::filesystem::remove(folder_.path() / "step-000010" / "manifest.json");
  const auto all = rows();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_NE(all[0].reason.find("has 5000 bytes instead of"), std::string::npos) << all[0].reason;
  EXPECT_TRUE(all[0].manifest);
  EXPECT_NE(all[1].reason.find("cannot be read"), std::string::npos) << all[1].reason;
  EXPECT_FALSE(all[1].manifest);
  EXPECT_GT(all[1].bytes, 0U);
  EXPECT_EQ(all[2].reason, "no manifest.json");
}

TEST_F(Inspect, LatestThatPointsNowhereNamesNothing) {
  save(20);
  const auto point = [&](const std::string& text) {
    std::ofstream(folder_.path() / "LATEST") << text;
    return latest_generation(posix_files(), folder_.path());
  };
  EXPECT_EQ(point("step-000020\n"), "step-000020");
  EXPECT_EQ(point("step-000099\n"), std::nullopt);
  EXPECT_EQ(point("../step-000020\n"), std::nullopt);
  EXPECT_EQ(point(std::string(10'000, 'x')), std::nullopt);
  std::filesystem::remove(folder_.path() / "LATEST");
  EXPECT_EQ(latest_generation(posix_files(), folder_.path()), std::nullopt);
  EXPECT_FALSE(rows().front().latest);
}

TEST_F(Inspect, AGenerationLargerThanWhatIsReadAtOnceVerifies) {
  constexpr std::int64_t count = (std::int64_t{1} << 22U) + 70'001;
  const auto self = comm::self_communicator();
  const auto slice = parallel::slice_of(0, 1, count, 16);
  const Tensor values = host_tensor(Dtype::u8, {count});
  for (std::int64_t i = 0; i < count; ++i) {
    values.span<std::uint8_t>()[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i % 251);
  }
  save_generation(*self, posix_files(), folder_.path(), {.step = 1},
                  {named_slice("large", count, Dtype::u8, values, slice)}, {});
  const auto generation = folder_.path() / "step-000001";
  EXPECT_EQ(verify_generation(posix_files(), generation), std::nullopt);
  const auto offset = read_manifest(posix_files(), generation).datasets[0].offset;
  testing_support::flip_bit(generation / "state.h5", offset + count - 1);
  const auto reason = verify_generation(posix_files(), generation);
  EXPECT_NE(reason.value_or("").find("dataset large"), std::string::npos);
}

TEST_F(Inspect, AFolderThatIsNotThereHasNoRows) {
  EXPECT_TRUE(inspect_folder(posix_files(), folder_.path() / "none").empty());
}

}  // namespace
}  // namespace concordat::checkpoint
