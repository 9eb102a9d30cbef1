#include "concordat/comm/pinning.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "concordat/comm/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/comm/environment.hpp"

namespace concordat::comm {
namespace {

std::vector<int> range(int begin, int end) {
  std::vector<int> all(static_cast<std::size_t>(end - begin));
  std::iota(all.begin(), all.end(), begin);
  return all;
}

/// Ranks of one host that all see `processors`, granted by a batch system.
std::vector<Placement> unbound(int ranks, int threads, const std::vector<int>& processors) {
  std::vector<Placement> all;
  for (int r = 0; r < ranks; ++r) {
    all.push_back({.rank = r,
                   .host = "n",
                   .processors = processors,
                   .threads = threads,
                   .online = static_cast<int>(processors.size()),
                   .granted = "a test"});
  }
  return all;
}

using Own = std::vector<std::vector<int>>;

TEST(Pinning, RanksWithOneSetShareItOut) {
  const auto plan = plan_pins(unbound(2, 2, range(0, 4)), PinMode::automatic);
  EXPECT_EQ(plan.own, (Own{{0, 1}, {2, 3}}));
  ASSERT_EQ(plan.lines.size(), 1U);
  EXPECT_EQ(plan.lines[0], "threads on n are pinned (a test): rank 0 to 0-1, rank 1 to 2-3");
  // What threads leave is shared out too, for messages and files.
  EXPECT_EQ(plan_pins(unbound(3, 1, range(0, 8)), PinMode::on).own,
            (Own{{0, 1}, {2, 3, 4}, {5, 6, 7}}));
}

TEST(Pinning, SixRanksOnTwoProcessorsAreNotPinned) {
  const auto ranks = unbound(6, 1, range(0, 2));
  const auto plan = plan_pins(ranks, PinMode::automatic);
  for (const auto& own : plan.own) EXPECT_TRUE(own.empty());
  EXPECT_EQ(plan.lines.at(0),
            "threads on n are not pinned: ranks 0, 1, 2, 3, 4, 5 have 6 threads for 2 processors "
            "(0-1)");
  try {
    plan_pins(ranks, PinMode::on);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::cannot_pin);
    EXPECT_EQ(error.exit_code(), ExitCode::usage);
    EXPECT_EQ(error.fields().where, "train.pin on host n");
    EXPECT_NE(error.fields().found.find("6 threads for 2 processors"), std::string::npos);
  }
}

TEST(Pinning, ThreadsTakeWholeCoresFirst) {
  // Four cores of two hardware threads, numbered as Linux does: i and i + 4 are siblings.
  auto ranks = unbound(2, 2, range(0, 8));
  for (auto& rank : ranks) rank.cores = {0, 1, 2, 3, 0, 1, 2, 3};
  EXPECT_EQ(plan_pins(ranks, PinMode::on).own, (Own{{0, 1, 4, 5}, {2, 3, 6, 7}}));
  // Six threads do not find six cores: siblings are handed out apart.
  ranks = unbound(2, 3, range(0, 8));
  for (auto& rank : ranks) rank.cores = {0, 1, 2, 3, 0, 1, 2, 3};
  EXPECT_EQ(plan_pins(ranks, PinMode::on).own, (Own{{0, 4, 1, 5}, {2, 6, 3, 7}}));
}

TEST(Pinning, RanksThatTheLauncherBoundStayInTheirSets) {
  auto ranks = unbound(2, 2, range(0, 4));
  ranks[1].processors = range(4, 8);
  EXPECT_EQ(plan_pins(ranks, PinMode::automatic).own, (Own{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  ranks[1].processors = {4};
  EXPECT_EQ(plan_pins(ranks, PinMode::automatic).lines.at(0),
            "threads on n are not pinned: rank 1 has 2 threads for 1 processor (4)");
  ranks[1].processors = range(3, 8);
  EXPECT_EQ(plan_pins(ranks, PinMode::automatic).lines.at(0),
            "threads on n are not pinned: the processors of rank 0 (0-3) and of rank 1 (3-7) "
            "overlap without being the same");
  EXPECT_ERROR(plan_pins(ranks, PinMode::on), errors::cannot_pin);
}

TEST(Pinning, EveryRankHasAProcessorForEachThread) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (int threads = 1; threads <= 3; ++threads) {
      for (int processors = ranks * threads; processors <= 17; ++processors) {
        for (const int siblings : {1, 2}) {
          auto places = unbound(ranks, threads, range(0, processors));
          for (auto& place : places) {
            for (const int p : place.processors) place.cores.push_back(p / siblings);
          }
          std::vector<int> used;
          for (const auto& own : plan_pins(places, PinMode::on).own) {
            ASSERT_GE(static_cast<int>(own.size()), threads);
            used.insert(used.end(), own.begin(), own.end());
          }
          std::sort(used.begin(), used.end());
          ASSERT_EQ(used, range(0, processors)) << ranks << " " << threads;
        }
      }
    }
  }
}

TEST(Pinning, AutomaticNeedsABatchSystemsWordOnEveryRankOfTheHost) {
  auto ranks = unbound(2, 1, range(0, 4));
  ranks.push_back({.rank = 2, .host = "m", .processors = range(0, 4), .granted = "a test"});
  ranks[1].granted.clear();
  const auto plan = plan_pins(ranks, PinMode::automatic);
  EXPECT_EQ(plan.own, (Own{{}, {}, {0, 1, 2, 3}}));
  EXPECT_NE(plan.lines.at(1).find("threads on n are not pinned: no batch system"),
            std::string::npos);
  EXPECT_EQ(plan_pins(ranks, PinMode::on).own[1], (std::vector<int>{2, 3}));
  EXPECT_TRUE(plan_pins(ranks, PinMode::off).lines.empty());
}

TEST(Pinning, WhereOpenMpBindsItIsLeftToIt) {
  auto ranks = unbound(1, 1, range(0, 4));
  ranks[0].openmp_binds = true;
  EXPECT_TRUE(plan_pins(ranks, PinMode::automatic).own[0].empty());
  EXPECT_ERROR(plan_pins(ranks, PinMode::on), errors::cannot_pin);
  EXPECT_FALSE(openmp_binds(environment({})));
  EXPECT_FALSE(openmp_binds(environment({{"OMP_PROC_BIND", "FALSE"}})));
  EXPECT_TRUE(openmp_binds(environment({{"OMP_PROC_BIND", "close"}})));
  EXPECT_TRUE(openmp_binds(environment({{"OMP_PLACES", "cores"}})));
}

TEST(Pinning, WhatBatchSystemsGiveIsRead) {
  const auto slurm = [](const char* on_node) {
    return environment({{"SLURM_JOB_ID", "17"}, {"SLURM_CPUS_ON_NODE", on_node}});
  };
  EXPECT_EQ(granted_processors(8, 8, slurm("8")), "Slurm gave job 17 the whole node");
  EXPECT_EQ(granted_processors(4, 8, slurm("4")), "Slurm confines job 17 to its processors");
  // Four processors of the job and a view of all eight: others may be on any.
  EXPECT_EQ(granted_processors(8, 8, slurm("4")), "");
  // Confined to more than the job has: somebody else's confinement.
  EXPECT_EQ(granted_processors(6, 8, slurm("4")), "");
  EXPECT_EQ(granted_processors(4, 8, environment({})), "");
  const auto pbs = environment({{"PBS_JOBID", "5.hub"}});
  EXPECT_EQ(granted_processors(4, 8, pbs), "PBS confines job 5.hub to its processors");
  EXPECT_EQ(granted_processors(8, 8, pbs), "");
  EXPECT_EQ(granted_processors(4, 8, environment({{"LSB_JOBID", "9"}})),
            "LSF confines job 9 to its processors");
}

TEST(Pinning, TheReportHoldsWhatAPlanNeeds) {
  run_threads(2, [](Communicator& comm) {
    const auto report = placement_report(comm, 1);
    for (const Placement& rank : report.ranks) {
      EXPECT_EQ(rank.cores.size(), rank.processors.size());
    }
    EXPECT_EQ(plan_pins(report.ranks, PinMode::off).own.size(), 2U);
  });
}

}  // namespace
}  // namespace concordat::comm
