// What is peculiar to saving while training goes on; save_test.cpp has what every save does.
#include "concordat/checkpoint/saver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "concordat/comm/threads.hpp"
#include "support/expect_error.hpp"
#include "support/faulty_files.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/crashing_files.hpp"
#include "unit/checkpoint/forwarding_files.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

using testing_support::CrashingFiles;
using testing_support::GatedFiles;
using testing_support::TemporaryFolder;

class AtRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Saver, AtRanks, testing::Values(1, 3));

/// One rank's part of a test: its state on a mesh of replicas, and a Saver.
struct Rank {
  Rank(comm::Communicator& comm, FileSystem& fs, const Path& folder)
      : state(comm, {comm.size(), 1, 1, 1}), saver(comm, fs, system_clock(), folder) {}
  std::optional<Saved> begin(int generation, SaveOptions options = {}) {
    state.fill(generation);
    return saver.begin({.step = static_cast<std::uint64_t>(generation), .round = 0}, state.tensors,
                       {}, std::move(options));
  }
  /// As a training loop does: polls, and changes the state in between.
  Saved train_until_saved() {
    while (true) {
      state.fill(99);
      if (auto saved = saver.poll()) return *saved;
    }
  }
  TestState state;
  Saver saver;
};

/// The generation that a restore on two ranks finds; what was passed over goes to `skipped`.
int newest(const Path& folder, std::vector<Skipped>* skipped = nullptr) {
  std::atomic<int> found{-1};
  comm::run_threads(2, [&](comm::Communicator& comm) {
    TestState state(comm, {2, 1, 1, 1});
    const auto restored = restore_newest(comm, posix_files(), folder, state.tensors);
    if (!restored) return;
    EXPECT_TRUE(state.is(static_cast<int>(restored->position.step)));
    if (comm.rank() != 0) return;
    found = static_cast<int>(restored->position.step);
    if (skipped != nullptr) *skipped = restored->skipped;
  });
  return found;
}

void save(FileSystem& fs, const Path& folder, int ranks, int generation) {
  comm::run_threads(ranks, [&](comm::Communicator& comm) {
    Rank rank(comm, fs, folder);
    rank.begin(generation);
    rank.saver.finish();
  });
}

TEST_P(AtRanks, a_generation_holds_the_state_of_its_begin) {
  TemporaryFolder folder;
  comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
    Rank rank(comm, posix_files(), folder.path());
    for (int generation : {1, 2}) {  // the second one in the buffers of the first
      EXPECT_EQ(rank.begin(generation), std::nullopt);
      EXPECT_TRUE(rank.saver.in_flight());
      EXPECT_EQ(rank.train_until_saved().name, "step-00000" + std::to_string(generation));
      EXPECT_FALSE(rank.saver.in_flight());
      EXPECT_FALSE(rank.saver.poll().has_value());
    }
  });
  EXPECT_EQ(newest(folder.path()), 2);
}

TEST_P(AtRanks, begin_and_poll_do_not_wait_for_the_disk) {
  TemporaryFolder folder;
  GatedFiles slow;
  comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
    Rank rank(comm, slow, folder.path());
    rank.begin(1);
    slow.wait_for_waiting(comm.size());
    for (int step = 0; step < 10; ++step) EXPECT_FALSE(rank.saver.poll().has_value());
    EXPECT_TRUE(rank.saver.writing());
    EXPECT_TRUE(list_generations(posix_files(), folder.path()).empty());
    comm.barrier();
    if (comm.rank() == 0) slow.set_open(true);
    EXPECT_EQ(rank.train_until_saved().name, "step-000001");
  });
  EXPECT_EQ(newest(folder.path()), 1);
}

TEST_P(AtRanks, a_save_that_comes_too_soon_finishes_the_one_before) {
  TemporaryFolder folder;
  GatedFiles slow;
  comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
    Rank rank(comm, slow, folder.path());
    rank.begin(1);
    slow.wait_for_waiting(comm.size());
    comm.barrier();
    std::thread opens;
    if (comm.rank() == 0) opens = std::thread([&] { slow.set_open(true); });
    const auto earlier = rank.begin(2);
    ASSERT_TRUE(earlier.has_value());
    EXPECT_EQ(earlier->name, "step-000001");
    EXPECT_EQ(rank.saver.finish()->name, "step-000002");
    EXPECT_FALSE(rank.saver.finish().has_value());
    if (opens.joinable()) opens.join();
  });
  EXPECT_EQ(newest(folder.path()), 2);
  EXPECT_EQ(list_generations(posix_files(), folder.path()).size(), 2U);
}

TEST_P(AtRanks, the_caller_may_bring_the_reduction_of_its_own) {
  TemporaryFolder folder;
  comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
    Rank rank(comm, posix_files(), folder.path());
    rank.begin(1);
    std::optional<Saved> saved;
    while (!saved) {
      std::int32_t busy[1] = {rank.saver.writing() ? 1 : 0};
      comm::all_reduce_host<std::int32_t>(comm, busy, comm::ReduceOp::max);
      saved = rank.saver.poll(busy[0] == 0);
    }
    EXPECT_GT(saved->write_seconds, 0.0);
  });
  EXPECT_EQ(newest(folder.path()), 1);
}

TEST_P(AtRanks, what_stands_before_a_generation_is_asked_for_on_the_callers_thread) {
  TemporaryFolder folder;
  std::atomic<int> asked{0};
  comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
    Rank rank(comm, posix_files(), folder.path());
    const auto caller = std::this_thread::get_id();
    rank.begin(1, {.before_publish = [&, caller](const Saved& made) {
                 EXPECT_EQ(std::this_thread::get_id(), caller);
                 EXPECT_TRUE(list_generations(posix_files(), folder.path()).empty()) << made.name;
                 ++asked;
               }});
    rank.train_until_saved();
  });
  EXPECT_EQ(asked, 1) << "once, on one rank";
}

TEST_P(AtRanks, a_disk_that_is_full_at_any_write_is_an_error_of_all_and_the_next_save_works) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), GetParam(), 1);
  bool finished = false;
  int told = 0;
  for (std::uint64_t change = 1; !finished; ++change) {
    std::atomic<int> failed{0};
    comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
      // The last rank's disk; rank 0 does most of the rest.
      for (const bool last : {true, false}) {
        testing_support::FaultyFiles full;
        if (comm.rank() == (last ? comm.size() - 1 : 0)) full.fail_at(change);
        Rank rank(comm, full, folder.path());
        try {
          rank.begin(2);
          rank.train_until_saved();
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), concordat::errors::disk_full) << error.what();
          EXPECT_FALSE(rank.saver.in_flight());
          ++failed;
        }
        full.heal();
        rank.begin(2);
        EXPECT_TRUE(rank.saver.finish().has_value());
      }
    });
    EXPECT_EQ(failed % GetParam(), 0) << "change " << change;
    finished = failed == 0;
    told += failed;
  }
  EXPECT_GT(told, 10 * GetParam());
  EXPECT_EQ(newest(folder.path()), 2);
}

TEST_P(AtRanks, one_that_is_given_up_leaves_the_old_generation_and_the_next_save_sweeps) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), GetParam(), 1);
  GatedFiles slow;
  comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
    std::thread opens;
    {
      Rank rank(comm, slow, folder.path());
      rank.begin(2);
      slow.wait_for_waiting(comm.size());
      comm.barrier();
      // The destructor waits for the write that stands before the gate.
      if (comm.rank() == 0) opens = std::thread([&] { slow.set_open(true); });
    }
    if (opens.joinable()) opens.join();
  });
  EXPECT_TRUE(posix_files().exists(folder.path() / ".new-step-000002"));
  EXPECT_EQ(newest(folder.path()), 1);
  save(posix_files(), folder.path(), GetParam(), 3);
  EXPECT_FALSE(posix_files().exists(folder.path() / ".new-step-000002"));
  EXPECT_EQ(newest(folder.path()), 3);
}

TEST_P(AtRanks, a_crash_after_any_change_leaves_the_old_or_the_new_generation) {
  TemporaryFolder start;
  save(posix_files(), start.path(), GetParam(), 1);
  save(posix_files(), start.path(), GetParam(), 2);
  for (const auto loss : {CrashingFiles::Loss::nothing, CrashingFiles::Loss::unsynced}) {
    bool finished = false;
    int old_ones = 0;
    int new_ones = 0;
    for (std::uint64_t change = 1; !finished; ++change) {
      TemporaryFolder folder;
      std::filesystem::copy(start.path(), folder.path(), std::filesystem::copy_options::recursive);
      CrashingFiles fs;
      fs.crash_at(change, loss);
      try {
        comm::run_threads(GetParam(), [&](comm::Communicator& comm) {
          Rank rank(comm, fs, folder.path());
          rank.begin(3);
          rank.train_until_saved();
        });
      } catch (const std::exception&) {
        EXPECT_TRUE(fs.crashed());
      }
      finished = !fs.crashed();
      std::vector<Skipped> skipped;
      const int found = newest(folder.path(), &skipped);
      EXPECT_TRUE(found == 2 || found == 3) << "change " << change << " left generation " << found;
      EXPECT_TRUE(skipped.empty()) << "change " << change << ": " << skipped[0].reason;
      (found == 2 ? old_ones : new_ones) += 1;
    }
    EXPECT_GT(old_ones, 10);
    EXPECT_GT(new_ones, 3);
  }
}

TEST_P(AtRanks, a_disk_that_lies_about_its_syncs_costs_the_newest_generation_and_no_more) {
  TemporaryFolder folder;
  save(posix_files(), folder.path(), GetParam(), 1);
  save(posix_files(), folder.path(), GetParam(), 2);
  CrashingFiles fs;
  fs.lies_about_syncs = true;
  save(fs, folder.path(), GetParam(), 3);
  EXPECT_EQ(newest(folder.path()), 3) << "while there is power";
  fs.power_cut();
  std::vector<Skipped> skipped;
  EXPECT_EQ(newest(folder.path(), &skipped), 2);
  ASSERT_EQ(skipped.size(), 1U);
  EXPECT_EQ(skipped[0].name, "step-000003");
}

}  // namespace
}  // namespace concordat::checkpoint
