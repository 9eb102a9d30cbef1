// The doctor's checks of a job: launch, all-reduce, threads, variables, rates.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cli/doctor_checks.hpp"
#include "concordat/comm/errors.hpp"
#include "concordat/comm/threads.hpp"
#include "concordat/core/json_value.hpp"
#include "unit/cli/findings.hpp"

namespace concordat::cli::doctor {
namespace {

using namespace testing_support;
using testing_support::Findings;
using testing_support::Level;

constexpr const char* open_mpi = "Open MPI v4.1.4";

TEST(DoctorLaunch, TasksOfSrunWithoutPmixAreToldHowToStart) {
  FakeEnvironment step{{{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "4"}}};
  const auto finding = check_step(open_mpi, step.get());
  ASSERT_TRUE(finding.has_value());
  EXPECT_TRUE(has({*finding}, Level::fail, "4 tasks without PMIx", "srun --mpi=pmix"));
  EXPECT_NE(finding->remedy.find("srun --mpi=list"), std::string::npos);
  step.values["PMIX_RANK"] = "3";
  EXPECT_FALSE(check_step(open_mpi, step.get()));
  step.values.erase("PMIX_RANK");
  step.values["OMPI_COMM_WORLD_SIZE"] = "4";  // mpirun inside the step
  EXPECT_FALSE(check_step(open_mpi, step.get()));
  EXPECT_FALSE(check_step(open_mpi, FakeEnvironment{}.get()));
  FakeEnvironment batch{{{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}}};
  EXPECT_FALSE(check_step(open_mpi, batch.get())) << "a batch shell is no step";
}

TEST(DoctorLaunch, OneProcessInALargerJobWarns) {
  FakeEnvironment environment;
  EXPECT_TRUE(all_ok(check_launch(1, "serialized", environment.get())));
  environment.values = {{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}};
  EXPECT_TRUE(has(check_launch(1, "serialized", environment.get()), Level::warn, "4 tasks",
                  "srun --mpi=pmix"));
  environment.values = {{"OMPI_COMM_WORLD_SIZE", "2"}};
  EXPECT_TRUE(has(check_launch(2, "serialized", environment.get()), Level::ok,
                  "2 ranks, started by mpirun"));
}

comm::PlacementReport placed(int ranks, int hosts, int threads, std::vector<int> processors) {
  comm::PlacementReport report;
  for (int r = 0; r < ranks; ++r) {
    report.ranks.push_back({.rank = r,
                            .host = "node" + std::to_string(r % hosts),
                            .processors = processors,
                            .threads = threads,
                            .online = 8});
  }
  report.warnings = comm::placement_warnings(report.ranks);
  return report;
}

TEST(DoctorAllReduce, SumsAreTimedOnAllRanks) {
  comm::run_threads(3, [](comm::Communicator& comm) {
    const auto times = time_all_reduce(comm, system_clock(), {1024, 65536});
    ASSERT_EQ(times.size(), 2U);
    EXPECT_GT(times[1].seconds, 0.0);
    const auto findings = check_all_reduce(times, placed(3, 1, 1, {0, 1, 2}));
    EXPECT_TRUE(has(findings, Level::ok, "3 ranks on 1 host: 1 KiB"));
    EXPECT_GT(findings[0].figures.at("all_reduce_65536_bytes_per_s"), 0.0);
  });
}

TEST(DoctorAllReduce, ARankThatDoesNotAnswerIsNamed) {
  std::atomic<bool> over = false;
  Findings findings;
  const auto job = [&](comm::Communicator& comm) {
    if (comm.rank() == 1) {
      while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      return;
    }
    try {
      time_all_reduce(comm, system_clock(), {1024});
    } catch (const Error& error) {
      EXPECT_EQ(error.code().name, comm::errors::stalled.name);
      findings.push_back(failed("mpi", error));
    }
    over = true;
  };
  try {
    comm::run_threads(2, job, {.stall_timeout = std::chrono::milliseconds(300)});
  } catch (const Error&) {
    // The dead group may end so; what counts is what rank 0 found.
  }
  EXPECT_TRUE(has(findings, Level::fail, "rank 1", "rank"));
}

TEST(DoctorAllReduce, ASlowNetworkBetweenNodesWarns) {
  const std::vector<AllReduceTime> slow{{1024, 1e-3}, {64U << 20U, 2.0}};
  const std::vector<AllReduceTime> fast{{1024, 1e-5}, {64U << 20U, 0.02}};
  EXPECT_TRUE(has(check_all_reduce(slow, placed(4, 2, 1, {0})), Level::warn, "slow for a network",
                  "UCX_NET_DEVICES"));
  EXPECT_TRUE(all_ok(check_all_reduce(fast, placed(4, 2, 1, {0}))));
  EXPECT_TRUE(all_ok(check_all_reduce(slow, placed(4, 1, 1, {0}))));
}

TEST(DoctorThreads, MoreThreadsThanProcessorsWarn) {
  FakeEnvironment environment{{{"OMP_NUM_THREADS", "64"}, {"OMP_WAIT_POLICY", "passive"}}};
  EXPECT_TRUE(has(check_threads(placed(1, 1, 1, {0, 1, 2, 3, 4, 5, 6, 7}), environment.get()),
                  Level::warn, "OMP_NUM_THREADS = 64", "at most 8"));
  environment.values.erase("OMP_NUM_THREADS");
  const auto crowded = check_threads(placed(4, 1, 2, {0, 1}), environment.get());
  expect_remedies(crowded);
  EXPECT_TRUE(has(crowded, Level::warn, "share processors 0-1", "start with fewer ranks"));
  EXPECT_TRUE(has(crowded, Level::warn, "MPI spins", "mpi_yield_when_idle"));
  environment.values["OMPI_MCA_mpi_yield_when_idle"] = "1";
  EXPECT_FALSE(
      has(check_threads(placed(4, 1, 2, {0, 1}), environment.get()), Level::warn, "MPI spins"));
}

TEST(DoctorThreads, SpinningThreadsWarnUnlessTheProcessorsAreTheJobs) {
  FakeEnvironment environment;
  auto report = placed(2, 1, 4, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_TRUE(has(check_threads(report, environment.get()), Level::warn, "threads spin",
                  "OMP_WAIT_POLICY=passive"));
  for (auto& rank : report.ranks) rank.granted = "Slurm gave job 7 the whole node";
  EXPECT_TRUE(all_ok(check_threads(report, environment.get())));
  for (auto& rank : report.ranks) rank.threads = 1;
  EXPECT_TRUE(
      has(check_threads(report, environment.get()), Level::warn, "twice as many", "train.threads"));
}

TEST(DoctorFabric, TuningVariablesWarnAndInterfacesDoNot) {
  EXPECT_TRUE(has(check_fabric({{"HOME", "/x"}}), Level::ok, "no NCCL_"));
  const auto kept = check_fabric({{"NCCL_SOCKET_IFNAME", "ib0"},
                                  {"OMPI_MCA_orte_hnp_uri", "1.0"},
                                  {"OMPI_MCA_mpi_yield_when_idle", "1"}});
  EXPECT_TRUE(all_ok(kept));
  EXPECT_TRUE(has(kept, Level::ok, "NCCL_SOCKET_IFNAME=ib0"));
  EXPECT_FALSE(has(kept, Level::ok, "orte")) << "what mpirun sets itself is not of interest";
  const auto tuned = check_fabric({{"NCCL_ALGO", "Ring"}, {"NCCL_DEBUG", "INFO"}});
  EXPECT_TRUE(has(tuned, Level::warn, "NCCL_ALGO=Ring, NCCL_DEBUG=INFO", "out of scripts"));
}

TEST(DoctorProgram, WhatDiffersBetweenRanksOrLibrariesWarns) {
  ProgramFacts facts{.version = "0.1.0 (x)",
                     .crypto = "OpenSSL 3.0.15",
                     .hdf5 = "HDF5 1.10.8",
                     .hdf5_built = "HDF5 1.10.7",
                     .mpi = open_mpi,
                     .bf16 = true,
                     .precision = "bf16",
                     .instructions = {"cpu: avx512", "cpu: avx512"}};
  EXPECT_TRUE(all_ok(check_program(facts)));
  facts.hdf5 = "HDF5 1.14.3";
  facts.instructions[1] = "cpu: avx2";
  facts.bf16 = false;
  facts.kill_points = true;
  const auto findings = check_program(facts);
  expect_remedies(findings);
  EXPECT_TRUE(has(findings, Level::warn, "built with HDF5 1.10.7", "module"));
  EXPECT_TRUE(has(findings, Level::warn, "rank 1 cpu: avx2", "one kind"));
  EXPECT_TRUE(has(findings, Level::warn, "train.precision = bf16", "fp32"));
  EXPECT_TRUE(has(findings, Level::warn, "a test build", "release"));
}

TEST(DoctorRates, TheSlowRankIsNamed) {
  const auto report = placed(3, 3, 1, {0});
  std::vector<Rates> rates(3, {.fp32_flops = 1e11, .stream_bytes = 1e10});
  EXPECT_TRUE(all_ok(check_rates(rates, report)));
  rates[1].fp32_flops = 4e10;
  const auto findings = check_rates(rates, report);
  EXPECT_TRUE(has(findings, Level::warn, "rank 1 on node1 is the slowest", "--exclude"));
  EXPECT_EQ(findings.size(), 2U) << "no rate of bf16 where products do not use it";
}

TEST(DoctorRates, AreMeasuredOnTheBackEnd) {
  device::Session session("reference");
  const Rates rates = measure_rates(session.exec(), system_clock(), false);
  EXPECT_GT(rates.fp32_flops, 0.0);
  EXPECT_GT(rates.stream_bytes, 0.0);
}

TEST(DoctorReport, OneLineAFindingAndTheSameForMachines) {
  Findings findings{ok("mpi", "fine"), warn("clock", "late", "set it"),
                    fail("files", "two\nlines", "chmod")};
  findings[0].figures["bytes_per_s"] = 12.7;
  const std::string text = text_of(findings);
  EXPECT_NE(text.find("ok    mpi      fine\n"), std::string::npos) << text;
  EXPECT_NE(text.find("warn  clock    late\n               remedy: set it\n"), std::string::npos);
  EXPECT_NE(text.find("FAIL  files    two lines\n"), std::string::npos);
  EXPECT_NE(text.find("doctor: 3 findings, 1 FAIL, 1 warn\n"), std::string::npos);
  EXPECT_EQ(exit_code(findings), ExitCode::data);
  const JsonValue json = JsonValue::parse(json_of(findings), "doctor");
  EXPECT_EQ(json.at("exit", "doctor").integer("exit"), 65);
  const auto& first = json.at("findings", "doctor").list("findings").at(0);
  EXPECT_EQ(first.at("figures", "first").at("bytes_per_s", "first").integer("first"), 12);
  findings.pop_back();
  EXPECT_EQ(exit_code(findings), ExitCode::done);
}

TEST(DoctorReport, RatesHaveThreeDigits) {
  EXPECT_EQ(rate_text(1.234e9, "B"), "1.23 GB/s");
  EXPECT_EQ(rate_text(163.2e9, "FLOP"), "163 GFLOP/s");
  EXPECT_EQ(rate_text(0.0, "B"), "0.00 B/s");
}

}  // namespace
}  // namespace concordat::cli::doctor
