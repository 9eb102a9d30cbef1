#include <gtest/gtest.h>

#include <atomic>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/comm/threads.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/crashing_files.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

using testing_support::CrashingFiles;
using testing_support::TemporaryFolder;

Saved save(FileSystem& fs, const Path& folder, int generation, std::uint64_t step,
           const SaveOptions& options = {}) {
  Saved result;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    TestState state(comm, {1, 1, 1, 2});
    state.fill(generation);
    auto saved =
        save_generation(comm, fs, folder, {.step = step, .round = 0}, state.tensors, {}, options);
    if (comm.rank() == 1) result = saved;
  });
  return result;
}

/// The generation number that a restore finds, and that it finds nothing broken.
int restored_generation(const Path& folder, std::initializer_list<int> candidates) {
  std::atomic<int> found{-1};
  comm::run_threads(3, [&](comm::Communicator& comm) {
    TestState state(comm, {3, 1, 1, 1});
    const auto restored = restore_newest(comm, posix_files(), folder, state.tensors);
    ASSERT_TRUE(restored.has_value());
    EXPECT_TRUE(restored->skipped.empty()) << restored->skipped[0].reason;
    for (int candidate : candidates) {
      if (state.is(candidate) && comm.rank() == 2) found = candidate;
    }
  });
  return found;
}

TEST(Save, says_what_it_wrote) {
  TemporaryFolder folder;
  const auto saved = save(posix_files(), folder.path(), 1, 120);
  EXPECT_EQ(saved.name, "step-000120");
  EXPECT_EQ(saved.bytes, posix_files().file_size(folder.path() / "step-000120" / "state.h5"));
  EXPECT_EQ(read_text(posix_files(), folder.path() / "LATEST"), "step-000120\n");
  EXPECT_EQ(posix_files().mode(folder.path() / "step-000120" / "state.h5") & 0077U, 0U)
      << "readable by nobody else";
  EXPECT_EQ(verify_generation(posix_files(), folder.path() / "step-000120"), std::nullopt);
}

TEST(Save, keeps_the_last_two_and_the_pinned) {
  TemporaryFolder folder;
  for (std::uint64_t step : {1, 2, 3, 4}) {
    save(posix_files(), folder.path(), 1, step, {.keep = 2, .pins = {"step-000001"}});
  }
  EXPECT_EQ(list_generations(posix_files(), folder.path()),
            (std::vector<std::string>{"step-000004", "step-000003", "step-000001"}));
}

TEST(Save, keeps_the_first_generation_at_or_after_each_multiple) {
  TemporaryFolder folder;
  for (std::uint64_t step = 3; step <= 36; step += 3) {
    save(posix_files(), folder.path(), 1, step, {.keep = 1, .keep_every = 10});
  }
  EXPECT_EQ(list_generations(posix_files(), folder.path()),
            (std::vector<std::string>{"step-000036", "step-000030", "step-000021", "step-000012"}));
  // Where several multiples lie between two saves, one generation serves them all.
  save(posix_files(), folder.path(), 1, 75, {.keep = 1, .keep_every = 10});
  save(posix_files(), folder.path(), 1, 76, {.keep = 1, .keep_every = 10});
  EXPECT_EQ(list_generations(posix_files(), folder.path()),
            (std::vector<std::string>{"step-000076", "step-000075", "step-000030", "step-000021",
                                      "step-000012"}));
}

TEST(Save, large_datasets_begin_at_multiples_of_the_alignment) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), 1, 1, {.alignment = 1U << 18U});
  const Path generation = folder.path() / "step-000001";
  int large = 0;
  for (const auto& dataset : read_manifest(posix_files(), generation).datasets) {
    if (num_elements(dataset.shape) * 2 < (1 << 18)) continue;
    EXPECT_EQ(dataset.offset % (1U << 18U), 0U) << dataset.name;
    ++large;
  }
  EXPECT_GT(large, 1);
  EXPECT_EQ(verify_generation(posix_files(), generation), std::nullopt);
  EXPECT_EQ(restored_generation(folder.path(), {1}), 1);
}

TEST(Save, never_overwrites_a_generation_of_the_same_step) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), 1, 7);
  EXPECT_EQ(save(posix_files(), folder.path(), 2, 7).name, "step-000007.1");
  EXPECT_EQ(save(posix_files(), folder.path(), 3, 7).name, "step-000007.2");
  EXPECT_EQ(restored_generation(folder.path(), {1, 2, 3}), 3);
}

TEST(Save, sets_generations_of_an_abandoned_course_aside) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), 1, 10);
  save(posix_files(), folder.path(), 2, 20);
  testing_support::flip_bit(folder.path() / "step-000020" / "state.h5", 9000);
  const auto saved = save(posix_files(), folder.path(), 3, 15);  // went on from step 10
  EXPECT_EQ(saved.set_aside, std::vector<std::string>{"step-000020"});
  EXPECT_TRUE(posix_files().exists(folder.path() / "set-aside-step-000020"));
  EXPECT_EQ(restored_generation(folder.path(), {1, 2, 3}), 3);
}

TEST(Save, refuses_before_it_writes_when_the_disk_is_too_small) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), 1, 1);
  CrashingFiles fs;
  fs.free = 100'000;
  EXPECT_ERROR_SAYS(save(fs, folder.path(), 2, 2), concordat::errors::disk_full, "100000 bytes");
  EXPECT_EQ(restored_generation(folder.path(), {1, 2}), 1);
}

TEST(Save, a_disk_that_fills_up_on_one_rank_is_an_error_of_all) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), 1, 1);
  std::atomic<int> told{0};
  comm::run_threads(3, [&](comm::Communicator& comm) {
    TestState state(comm, {3, 1, 1, 1});
    state.fill(2);
    testing_support::FaultyFiles full;  // one a rank; writes of rank 1 alone fail
    if (comm.rank() == 1) full.fail_at(1);
    try {
      save_generation(comm, full, folder.path(), {.step = 2, .round = 0}, state.tensors, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), concordat::errors::disk_full);
      EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos) << error.what();
      ++told;
    }
  });
  EXPECT_EQ(told, 3);
  EXPECT_EQ(restored_generation(folder.path(), {1, 2}), 1);
}

TEST(Save, what_has_to_stand_before_a_generation_is_asked_for_before_it_has_its_name) {
  TemporaryFolder folder;
  std::vector<Saved> asked;
  SaveOptions options;
  options.before_publish = [&](const Saved& made) {
    EXPECT_EQ(list_generations(posix_files(), folder.path()).size(), asked.size());
    asked.push_back(made);
  };
  const auto saved = save(posix_files(), folder.path(), 1, 1, options);
  ASSERT_EQ(asked.size(), 1U) << "on one rank, once";
  EXPECT_EQ(asked[0].name, saved.name);
  EXPECT_EQ(asked[0].manifest, saved.manifest);

  // Without it there is no generation, on any rank.
  options.before_publish = [](const Saved&) {
    throw Error(concordat::errors::disk_full, {.what = "no room for the entry"});
  };
  std::atomic<int> told{0};
  comm::run_threads(2, [&](comm::Communicator& comm) {
    TestState state(comm, {2, 1, 1, 1});
    state.fill(2);
    try {
      save_generation(comm, posix_files(), folder.path(), {.step = 2, .round = 0}, state.tensors,
                      {}, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), concordat::errors::disk_full);
      ++told;
    }
  });
  EXPECT_EQ(told, 2);
  EXPECT_EQ(list_generations(posix_files(), folder.path()), std::vector<std::string>{saved.name});
  EXPECT_EQ(restored_generation(folder.path(), {1, 2}), 1);
}

}  // namespace
}  // namespace concordat::checkpoint
