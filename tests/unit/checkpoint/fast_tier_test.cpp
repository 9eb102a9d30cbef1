// The fast tier: three ranks on two nodes, a folder each.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "concordat/checkpoint/saver.hpp"
#include "concordat/comm/threads.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/crashing_files.hpp"
#include "unit/checkpoint/forwarding_files.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

using testing_support::CrashingFiles;
using testing_support::GatedFiles;
using testing_support::TemporaryFolder;

/// The site's file system and the disks of two nodes.
struct Site {
  Path slow() const { return root.path() / "slow"; }
  FastTier tier(int rank) const {
    const std::string node = rank < 2 ? "a" : "b";
    return {.folder = root.path() / ("disk-" + node), .node = node};
  }
  TemporaryFolder root;
};

struct Rank {
  Rank(comm::Communicator& comm, FileSystem& fs, const Site& site)
      : state(comm, {comm.size(), 1, 1, 1}),
        saver(comm, fs, system_clock(), site.slow(), site.tier(comm.rank())) {}
  void begin(int generation, SaveOptions options = {}) {
    state.fill(generation);
    saver.begin({.step = static_cast<std::uint64_t>(generation), .round = 0}, state.tensors, {},
                std::move(options));
    state.fill(99);
  }
  TestState state;
  Saver saver;
};

void save(FileSystem& fs, const Site& site, int generation, const SaveOptions& options = {}) {
  comm::run_threads(3, [&](comm::Communicator& comm) {
    Rank rank(comm, fs, site);
    rank.begin(generation, options);
    EXPECT_TRUE(rank.saver.finish().has_value());
  });
}

struct Found {
  int generation = -1;
  bool fast = false;
  std::vector<Skipped> skipped;
};

/// What `ranks` ranks restore; -1 if nothing. `with_fast`: they have the disks of the nodes.
Found restore(const Site& site, int ranks, bool with_fast) {
  Found found;
  comm::run_threads(ranks, [&](comm::Communicator& comm) {
    TestState state(comm, {comm.size(), 1, 1, 1});
    state.fill(50);
    RestoreOptions options;
    std::vector<Skipped> skipped;
    if (with_fast) options.fast = site.tier(comm.rank());
    options.skipped = &skipped;
    const auto restored = restore_newest(comm, posix_files(), site.slow(), state.tensors, options);
    EXPECT_TRUE(state.is(restored ? static_cast<int>(restored->position.step) : 50));
    if (comm.rank() != ranks - 1) return;
    if (restored) found = {static_cast<int>(restored->position.step), restored->fast, {}};
    found.skipped = skipped;
  });
  return found;
}

/// Saves a generation that reaches the nodes' disks and not the site's file system.
void save_without_draining(const Site& site, int generation) {
  GatedFiles fs;
  fs.only_below = site.slow();
  comm::run_threads(3, [&](comm::Communicator& comm) {
    std::thread opens;
    {
      Rank rank(comm, fs, site);
      rank.begin(generation);
      bool waits = false;
      while (!waits) {
        EXPECT_FALSE(rank.saver.poll().has_value());
        std::int32_t waiting[1] = {fs.waiting() == comm.size() ? 1 : 0};
        comm::all_reduce_host<std::int32_t>(comm, waiting, comm::ReduceOp::min);
        waits = waiting[0] == 1;
      }
      if (comm.rank() == 0) opens = std::thread([&] { fs.set_open(true); });
    }
    if (opens.joinable()) opens.join();
  });
}

TEST(FastTier, a_generation_reaches_the_nodes_first_and_then_the_folder) {
  Site site;
  int asked = 0;
  SaveOptions options;
  options.before_publish = [&](const Saved& made) {
    EXPECT_EQ(made.name, "step-000001");
    EXPECT_TRUE(list_generations(posix_files(), site.tier(0).folder).empty());
    EXPECT_TRUE(list_generations(posix_files(), site.slow()).empty());
    ++asked;
  };
  save(posix_files(), site, 1, options);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(verify_generation(posix_files(), site.slow() / "step-000001"), std::nullopt);
  const auto manifest = [](const Path& folder) {
    return read_text(posix_files(), folder / "step-000001" / "manifest.json");
  };
  EXPECT_EQ(manifest(site.tier(0).folder), manifest(site.slow()));
  EXPECT_EQ(manifest(site.tier(2).folder), manifest(site.slow()));
  // Each node has its own ranks' part, so neither has the whole.
  EXPECT_TRUE(verify_generation(posix_files(), site.tier(0).folder / "step-000001").has_value());
  EXPECT_TRUE(verify_generation(posix_files(), site.tier(2).folder / "step-000001").has_value());
  EXPECT_FALSE(restore(site, 3, true).fast) << "what has reached the folder is read there";
}

TEST(FastTier, keeps_the_last_generation_only) {
  Site site;
  for (const int generation : {1, 2, 3}) save(posix_files(), site, generation);
  for (const int rank : {0, 2}) {
    EXPECT_EQ(list_generations(posix_files(), site.tier(rank).folder),
              std::vector<std::string>{"step-000003"});
  }
  EXPECT_EQ(list_generations(posix_files(), site.slow()).size(), 2U);
}

TEST(FastTier, what_was_not_drained_is_restored_by_the_ranks_that_wrote_it) {
  Site site;
  save(posix_files(), site, 1);
  save_without_draining(site, 2);
  EXPECT_EQ(list_generations(posix_files(), site.slow()), std::vector<std::string>{"step-000001"});
  const Found same = restore(site, 3, true);
  EXPECT_EQ(same.generation, 2);
  EXPECT_TRUE(same.fast);
  EXPECT_TRUE(same.skipped.empty());
  // Other ranks do not find their parts: they say so, and take the older one.
  const Found fewer = restore(site, 2, true);
  EXPECT_EQ(fewer.generation, 1);
  ASSERT_EQ(fewer.skipped.size(), 1U);
  EXPECT_EQ(fewer.skipped[0].name, "step-000002 in the fast tier");
  EXPECT_EQ(restore(site, 3, false).generation, 1);
  // The next save has a name of its own and goes all the way.
  save(posix_files(), site, 2);
  EXPECT_EQ(list_generations(posix_files(), site.slow())[0], "step-000002.1");
}

TEST(FastTier, a_node_without_its_disk_sends_all_to_the_folder) {
  Site site;
  save(posix_files(), site, 1);
  save_without_draining(site, 2);
  posix_files().remove_all(site.tier(2).folder);
  const Found found = restore(site, 3, true);
  EXPECT_EQ(found.generation, 1);
  ASSERT_EQ(found.skipped.size(), 1U);
}

TEST(FastTier, without_anything_in_the_folder_a_lost_disk_means_a_fresh_start) {
  Site site;
  save_without_draining(site, 1);
  EXPECT_EQ(restore(site, 3, true).generation, 1);
  posix_files().remove_all(site.tier(2).folder);
  const Found found = restore(site, 3, true);
  EXPECT_EQ(found.generation, -1);
  EXPECT_EQ(found.skipped.size(), 1U) << "and it is said";
}

TEST(FastTier, a_damaged_disk_and_nothing_in_the_folder_leave_the_tensors_for_a_fresh_start) {
  Site site;
  save_without_draining(site, 1);
  damage(site.tier(2).folder / "step-000001", "weights/o");
  const Found found = restore(site, 3, true);
  EXPECT_EQ(found.generation, -1);
  ASSERT_EQ(found.skipped.size(), 1U);
  EXPECT_NE(found.skipped[0].reason.find("hashes to"), std::string::npos)
      << found.skipped[0].reason;
}

TEST(FastTier, what_an_older_course_left_on_a_disk_is_not_taken) {
  Site site;
  save(posix_files(), site, 1);
  save_without_draining(site, 9);
  // The run goes on elsewhere, from the first one.
  TemporaryFolder elsewhere;
  comm::run_threads(3, [&](comm::Communicator& comm) {
    TestState state(comm, {3, 1, 1, 1});
    state.fill(5);
    Saver saver(comm, posix_files(), system_clock(), site.slow(),
                {.folder = elsewhere.path(), .node = "c"});
    saver.begin({.step = 5, .round = 0}, state.tensors, {});
    saver.finish();
  });
  EXPECT_TRUE(posix_files().exists(site.tier(0).folder / "step-000009"));
  EXPECT_EQ(restore(site, 3, true).generation, 5);
}

TEST(FastTier, a_run_that_goes_on_without_it_never_finds_the_old_course_there_again) {
  Site site;
  save(posix_files(), site, 1);
  save_without_draining(site, 9);
  // The next jobs have no fast tier: from the first generation on, another course.
  for (const int generation : {2, 3}) {
    comm::run_threads(3, [&](comm::Communicator& comm) {
      TestState state(comm, {3, 1, 1, 1});
      state.fill(generation);
      save_generation(comm, posix_files(), site.slow(),
                      {.step = static_cast<std::uint64_t>(generation), .round = 0}, state.tensors,
                      {});
    });
    EXPECT_FALSE(posix_files().exists(site.slow() / "FAST"));
  }
  // With it again, on the nodes that have the abandoned one: it is not taken.
  EXPECT_TRUE(posix_files().exists(site.tier(0).folder / "step-000009"));
  EXPECT_EQ(restore(site, 3, true).generation, 3);
}

TEST(FastTier, its_record_goes_before_a_generation_of_another_course_has_its_name) {
  bool published = false;
  for (std::uint64_t change = 10; !published; ++change) {
    Site site;
    save(posix_files(), site, 1);
    save_without_draining(site, 9);
    CrashingFiles fs;
    fs.crash_at(change, CrashingFiles::Loss::nothing);
    try {
      const auto self = comm::self_communicator();
      TestState state(*self, {1, 1, 1, 1});
      state.fill(2);
      save_generation(*self, fs, site.slow(), {.step = 2, .round = 0}, state.tensors, {});
    } catch (const std::exception&) {
      EXPECT_TRUE(fs.crashed());
    }
    // The first moment at which it exists.
    published = list_generations(posix_files(), site.slow()).front() == "step-000002";
    EXPECT_TRUE(!published || !posix_files().exists(site.slow() / "FAST")) << "change " << change;
    ASSERT_TRUE(published || fs.crashed()) << "it was saved and is not there";
  }
}

// At every `stride`-th change of a save.
void crash_while_saving(int stride) {
  const Site before;
  save(posix_files(), before, 2);
  for (const auto loss : {CrashingFiles::Loss::nothing, CrashingFiles::Loss::unsynced}) {
    bool finished = false;
    int fast_ones = 0;
    int slow_ones = 0;
    for (std::uint64_t change = 1; !finished; change += stride) {
      Site site;
      std::filesystem::copy(before.root.path(), site.root.path(),
                            std::filesystem::copy_options::recursive);
      CrashingFiles fs;
      fs.crash_at(change, loss);
      try {
        comm::run_threads(3, [&](comm::Communicator& comm) {
          Rank rank(comm, fs, site);
          rank.begin(3);
          rank.saver.finish();
        });
      } catch (const std::exception&) {
        EXPECT_TRUE(fs.crashed());
      }
      finished = !fs.crashed();
      const int fast = restore(site, 3, true).generation;
      const Found slow = restore(site, 3, false);
      EXPECT_TRUE(fast == 2 || fast == 3) << "change " << change << " left generation " << fast;
      EXPECT_TRUE(slow.generation == 2 || slow.generation == 3) << "change " << change;
      EXPECT_TRUE(slow.skipped.empty()) << "change " << change << ": " << slow.skipped[0].reason;
      fast_ones += fast == 3 ? 1 : 0;
      slow_ones += slow.generation == 3 ? 1 : 0;
    }
    EXPECT_GT(slow_ones, 3 / stride);
    EXPECT_GT(fast_ones, slow_ones + 10 / stride) << "the fast tier is there sooner";
  }
}

TEST(FastTier, a_crash_now_and_then_leaves_the_old_or_the_new_generation) {
  crash_while_saving(17);
}

// Under a sanitizer every change would take minutes.
#if defined(__SANITIZE_ADDRESS__)
constexpr int smallest_stride = 7;
#else
constexpr int smallest_stride = 1;
#endif

TEST(FastTier, a_crash_after_any_change_leaves_the_old_or_the_new_generation) {
  crash_while_saving(smallest_stride);
}

}  // namespace
}  // namespace concordat::checkpoint
