// How the job was launched, and what a sum over its ranks costs.
#include <algorithm>
#include <cstdio>
#include <set>

#include "cli/doctor_checks.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/site/run_check.hpp"

namespace concordat::cli::doctor {
namespace {

constexpr const char* pmix_remedy =
    "start with srun --mpi=pmix; 'srun --mpi=list' shows what this Slurm offers. If pmix is not "
    "among it, use mpirun inside the allocation";

int repetitions(std::uint64_t bytes) {
  if (bytes <= 64U << 10U) return 40;
  return bytes <= 4U << 20U ? 8 : 2;
}

std::string time_text(double seconds) {
  char text[32];
  if (seconds < 1e-3) {
    std::snprintf(text, sizeof text, "%.0f us", seconds * 1e6);
  } else {
    std::snprintf(text, sizeof text, "%.1f ms", seconds * 1e3);
  }
  return text;
}

std::string size_text(std::uint64_t bytes) {
  return bytes < 1U << 20U ? std::to_string(bytes >> 10U) + " KiB"
                           : std::to_string(bytes >> 20U) + " MiB";
}

/// Bytes a second through each rank's link: a sum moves 2 n (p-1)/p of n bytes.
double link_rate(const AllReduceTime& time, double ranks) {
  return 2.0 * static_cast<double>(time.bytes) * (ranks - 1.0) / ranks /
         std::max(time.seconds, 1e-9);
}

void require_sum(comm::Communicator& comm, const Tensor& values) {
  comm::agreed(comm, [&] {
    const auto wanted = static_cast<float>(comm.size());
    for (const float value : values.span<float>()) {
      if (value == wanted) continue;
      throw Error(errors::malformed,
                  {.what = "a sum over the ranks is wrong",
                   .where = "all-reduce of ones",
                   .found = std::to_string(value),
                   .expected = std::to_string(wanted),
                   .remedy = "do not train on these nodes; show this line to who runs them"});
    }
  });
}

}  // namespace

std::optional<Finding> check_step(const std::string& mpi_library, const Environment& environment) {
  const bool step =
      environment("SLURM_STEP_ID") != nullptr && environment("SLURM_PROCID") != nullptr;
  const bool joined = environment("PMIX_RANK") != nullptr ||
                      environment("PMIX_NAMESPACE") != nullptr ||
                      environment("OMPI_COMM_WORLD_SIZE") != nullptr;
  if (!step || joined || mpi_library.find("Open MPI") == std::string::npos) return std::nullopt;
  std::string tasks = value_of(environment, "SLURM_STEP_NUM_TASKS");
  if (tasks.empty()) tasks = value_of(environment, "SLURM_NTASKS");
  return fail("mpi",
              "srun started " + (tasks.empty() ? "this task" : tasks + " tasks") +
                  " without PMIx: " + mpi_library +
                  " would stop in MPI_Init, or each task would be alone",
              pmix_remedy);
}

Findings check_launch(int ranks, const std::string& thread_level, const Environment& environment) {
  Findings findings;
  const bool slurm = environment("SLURM_JOB_ID") != nullptr;
  const auto launcher = comm::launcher_size(environment);
  const std::string tasks = value_of(environment, "SLURM_NTASKS");
  if (ranks == 1 && !launcher && slurm && !tasks.empty() && tasks != "1") {
    findings.push_back(warn("mpi",
                            "one process in a Slurm job of " + tasks +
                                " tasks: ranks, binding and all-reduce are not checked",
                            "srun --mpi=pmix concordat doctor, with the same arguments"));
  } else if (ranks == 1 && !launcher) {
    findings.push_back(ok("mpi",
                          "one rank, without a launcher (mpirun -n N or srun --mpi=pmix checks "
                          "a job's ranks too)"));
  } else {
    const bool by_srun = launcher && launcher->variable.rfind("SLURM", 0) == 0;
    findings.push_back(ok("mpi", counted(static_cast<std::size_t>(ranks), "rank") +
                                     ", started by " + (by_srun ? "srun" : "mpirun") +
                                     ", as many as it says"));
  }
  findings.push_back(ok("mpi", "thread level " + thread_level));
  return findings;
}

Findings check_fit(const site::SiteSettings& site, int ranks) {
  Findings findings;
  attempt(findings, "mpi", [&] {
    site::check_layout(site, ranks);
    findings.push_back(ok("mpi", counted(static_cast<std::size_t>(ranks), "rank") +
                                     " can train so: " + site::mesh_of(site.layout, ranks).text()));
  });
  return findings;
}

std::vector<AllReduceTime> time_all_reduce(comm::Communicator& comm, const Clock& clock,
                                           const std::vector<std::uint64_t>& sizes) {
  std::vector<AllReduceTime> times;
  InlineStream stream;
  for (const std::uint64_t bytes : sizes) {
    const Tensor values = host_tensor(Dtype::f32, {static_cast<std::int64_t>(bytes / 4)});
    std::fill(values.span<float>().begin(), values.span<float>().end(), 1.0F);
    comm.all_reduce(values, comm::ReduceOp::sum, stream).wait();
    require_sum(comm, values);
    std::fill(values.span<float>().begin(), values.span<float>().end(), 0.0F);
    const int count = repetitions(bytes);
    comm.barrier();
    const auto begin = clock.monotonic();
    for (int i = 0; i < count; ++i) {
      comm.all_reduce(values, comm::ReduceOp::sum, stream).wait();
    }
    const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
    times.push_back({bytes, seconds / count});
  }
  return times;
}

Findings check_all_reduce(const std::vector<AllReduceTime>& times,
                          const comm::PlacementReport& report) {
  const auto ranks = static_cast<double>(report.ranks.size());
  std::set<std::string> hosts;
  for (const auto& rank : report.ranks) hosts.insert(rank.host);
  std::string text = "all-reduce over " + counted(report.ranks.size(), "rank") + " on " +
                     counted(hosts.size(), "host") + ":";
  Finding finding = ok("mpi", "");
  double best = 0.0;
  for (const AllReduceTime& time : times) {
    const double rate = link_rate(time, ranks);
    best = std::max(best, rate);
    text += (&time == times.data() ? " " : ", ") + size_text(time.bytes) + " " +
            time_text(time.seconds) + " (" + rate_text(rate, "B") + ")";
    const std::string key = "all_reduce_" + std::to_string(time.bytes);
    finding.figures[key + "_ns"] = time.seconds * 1e9;
    finding.figures[key + "_bytes_per_s"] = rate;
  }
  finding.text = std::move(text);
  // Ten-gigabit Ethernet carries six times that; slower is a management network or a fallback.
  constexpr double slow = 0.2e9;
  if (hosts.size() > 1 && best < slow) {
    finding.level = Level::warn;
    finding.text += ": slow for a network between nodes";
    finding.remedy =
        "see which interface MPI takes: OMPI_MCA_btl_tcp_if_include or UCX_NET_DEVICES names one; "
        "compare with the centre's own MPI benchmark";
  }
  return {finding};
}

}  // namespace concordat::cli::doctor
