#include <gtest/gtest.h>

#include "concordat/comm/runtime.hpp"
#include "support/expect_error.hpp"
#include "unit/comm/environment.hpp"

namespace concordat::comm {
namespace {

TEST(Launcher, no_launcher_is_fine_with_one_rank) {
  EXPECT_NO_THROW(check_launcher(1, environment({})));
}

TEST(Launcher, singletons_under_srun_are_refused) {
  const auto env = environment({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  EXPECT_NO_THROW(check_launcher(4, env));
  try {
    check_launcher(1, env);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::launcher_mismatch);
    EXPECT_EQ(error.exit_code(), ExitCode::usage);
    EXPECT_NE(error.fields().remedy.find("--mpi=pmix"), std::string::npos);
  }
}

TEST(Launcher, another_mpi_under_mpirun_is_refused) {
  EXPECT_ERROR(check_launcher(1, environment({{"OMPI_COMM_WORLD_SIZE", "3"}})),
               errors::launcher_mismatch);
}

TEST(Launcher, mpirun_inside_a_batch_script_may_start_fewer_than_the_allocation) {
  EXPECT_NO_THROW(
      check_launcher(2, environment({{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_NTASKS", "4"}})));
}

TEST(Launcher, one_process_in_the_batch_shell_is_fine) {
  EXPECT_NO_THROW(check_launcher(1, environment({{"SLURM_NTASKS", "4"}})));
}

TEST(Placement, ranges_are_short) {
  EXPECT_EQ(processor_ranges({0, 1, 2, 3, 8}), "0-3,8");
  EXPECT_EQ(processor_ranges({}), "none");
}

TEST(Placement, ranks_bound_to_one_processor_are_warned_about) {
  const auto warnings = placement_warnings(
      {{.rank = 0, .host = "n", .processors = {0}}, {.rank = 1, .host = "n", .processors = {0}}});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("ranks 0, 1 share"), std::string::npos) << warnings[0];
}

TEST(Placement, unbound_ranks_are_fine_while_their_threads_fit) {
  const std::vector<int> all{0, 1, 2, 3};
  EXPECT_TRUE(placement_warnings({{.rank = 0, .host = "n", .processors = all, .threads = 2},
                                  {.rank = 1, .host = "n", .processors = all, .threads = 2},
                                  {.rank = 2, .host = "m", .processors = all, .threads = 4}})
                  .empty());
  EXPECT_EQ(placement_warnings({{.rank = 0, .host = "n", .processors = all, .threads = 2},
                                {.rank = 1, .host = "n", .processors = all, .threads = 3}})
                .size(),
            1U);
}

TEST(Placement, one_rank_with_too_many_threads_is_warned_about) {
  EXPECT_EQ(placement_warnings({{.rank = 0, .host = "n", .processors = {3}, .threads = 2}}).size(),
            1U);
}

TEST(Placement, a_rank_that_is_bound_alone_is_warned_about_other_jobs) {
  const Placement bound{.rank = 0, .host = "n", .processors = {0}, .threads = 1, .online = 4};
  const auto warnings = placement_warnings({bound});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("--bind-to none"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[0].find("processors 0 of n, which has 4"), std::string::npos) << warnings[0];
  Placement free = bound;
  free.processors = {0, 1, 2, 3};
  EXPECT_TRUE(placement_warnings({free}).empty());
  // Two ranks on a processor each: mpirun bound them beside each other.
  Placement second = bound;
  second.rank = 1;
  second.processors = {1};
  EXPECT_TRUE(placement_warnings({bound, second}).empty());
}

TEST(Placement, the_report_names_every_rank) {
  run_threads(3, [](Communicator& comm) {
    const auto report = placement_report(comm, 1);
    ASSERT_EQ(report.lines.size(), 3U);
    EXPECT_FALSE(report.ranks[2].processors.empty());
    EXPECT_GE(report.ranks[2].online, 1);
    EXPECT_NE(report.lines[2].find("rank 2 on "), std::string::npos);
  });
}

}  // namespace
}  // namespace concordat::comm
