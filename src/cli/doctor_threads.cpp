// Threads and processors of the ranks, and the variables that steer the network.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>

#include "cli/doctor_checks.hpp"

namespace concordat::cli::doctor {
namespace {

using comm::Placement;

struct Host {
  int ranks = 0;
  int threads = 0;
  int online = 0;
  std::set<int> processors;
  bool granted = true;
};

std::map<std::string, Host> hosts_of(const comm::PlacementReport& report) {
  std::map<std::string, Host> hosts;
  for (const Placement& rank : report.ranks) {
    Host& host = hosts[rank.host];
    ++host.ranks;
    host.threads += rank.threads;
    host.online = rank.online;
    host.processors.insert(rank.processors.begin(), rank.processors.end());
    host.granted = host.granted && !rank.granted.empty();
  }
  return hosts;
}

/// The placement warnings end with what to do.
Finding placement_finding(const std::string& warning) {
  const std::size_t advice = warning.find("start with ");
  if (advice == std::string::npos || advice < 2) {
    return warn("threads", warning, "change the number of ranks, threads or the binding");
  }
  return warn("threads", warning.substr(0, advice - 2), warning.substr(advice));
}

Finding host_finding(const std::string& name, const Host& host) {
  const std::string text =
      counted(static_cast<std::size_t>(host.ranks), "rank") + " on " + name + " with " +
      counted(static_cast<std::size_t>(host.threads), "thread") + " on " +
      counted(host.processors.size(), "processor") + " (" +
      comm::processor_ranges({host.processors.begin(), host.processors.end()}) + " of " +
      std::to_string(host.online) + ")";
  const int granted = static_cast<int>(host.processors.size());
  if (host.granted && host.threads * 2 <= granted) {
    return warn("threads", text + ": the batch system gave this job more than twice as many",
                "raise train.threads, or start more ranks, or ask for fewer processors");
  }
  return ok("threads", text);
}

void check_openmp(Findings& findings, const comm::PlacementReport& report,
                  const Environment& environment) {
  const int asked = std::atoi(value_of(environment, "OMP_NUM_THREADS").c_str());
  for (const Placement& rank : report.ranks) {
    const int processors = static_cast<int>(rank.processors.size());
    if (processors == 0 || asked <= processors) continue;
    findings.push_back(
        warn("threads",
             "OMP_NUM_THREADS = " + std::to_string(asked) + ", but rank " +
                 std::to_string(rank.rank) + " has " +
                 counted(static_cast<std::size_t>(processors), "processor") + " on " + rank.host,
             "set OMP_NUM_THREADS and train.threads to at most " + std::to_string(processors)));
    break;
  }
}

void check_waiting(Findings& findings, const std::map<std::string, Host>& hosts,
                   const Environment& environment) {
  const bool yields = value_of(environment, "OMPI_MCA_mpi_yield_when_idle") == "1";
  const bool passive = value_of(environment, "OMP_WAIT_POLICY").find_first_of("pP") == 0;
  for (const auto& [name, host] : hosts) {
    const int processors = static_cast<int>(host.processors.size());
    if (host.threads > processors && !yields) {
      findings.push_back(warn(
          "threads", "more threads than processors on " + name + ", and MPI spins while it waits",
          "mpirun --mca mpi_yield_when_idle 1"));
    }
    if (host.threads > host.ranks && !passive && !host.granted) {
      findings.push_back(warn("threads",
                              "OpenMP's threads spin while they wait, and no batch system says "
                              "that the processors of " +
                                  name + " are this job's alone",
                              "OMP_WAIT_POLICY=passive on a machine that others use too"));
    }
  }
}

/// What a script may keep: names of interfaces, logging, and how ranks are placed.
bool is_harmless(const std::string& name, const std::string& value) {
  static const std::set<std::string> harmless{"NCCL_SOCKET_IFNAME",
                                              "NCCL_IB_HCA",
                                              "UCX_NET_DEVICES",
                                              "UCX_LOG_LEVEL",
                                              "FI_LOG_LEVEL",
                                              "OMPI_MCA_btl_tcp_if_include",
                                              "OMPI_MCA_oob_tcp_if_include",
                                              "OMPI_MCA_mpi_yield_when_idle",
                                              "OMPI_MCA_btl_vader_single_copy_mechanism",
                                              "OMPI_MCA_btl_base_warn_component_unused",
                                              "OMPI_MCA_hwloc_base_binding_policy"};
  if (name == "NCCL_DEBUG") return value == "WARN" || value == "VERSION";
  return harmless.contains(name) || name.rfind("OMPI_MCA_rmaps_", 0) == 0;
}

/// What mpirun puts there itself.
bool is_launchers(const std::string& name) {
  constexpr std::array<const char*, 8> prefixes{"OMPI_MCA_orte_", "OMPI_MCA_ess",
                                                "OMPI_MCA_pmix",  "OMPI_MCA_initial_wdir",
                                                "OMPI_MCA_shmem", "OMPI_MCA_mpi_oversubscribe",
                                                "OMPI_MCA_plm",   "OMPI_MCA_mca_base_env_list"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return name.rfind(prefix, 0) == 0; });
}

bool is_fabric(const std::string& name) {
  constexpr std::array<const char*, 6> prefixes{"NCCL_", "UCX_",  "OMPI_MCA_",
                                                "FI_",   "PSM2_", "PSM3_"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return name.rfind(prefix, 0) == 0; });
}

}  // namespace

Findings check_threads(const comm::PlacementReport& report, const Environment& environment) {
  Findings findings;
  const auto hosts = hosts_of(report);
  for (const auto& [name, host] : hosts) findings.push_back(host_finding(name, host));
  for (const std::string& warning : report.warnings) {
    findings.push_back(placement_finding(warning));
  }
  check_openmp(findings, report, environment);
  check_waiting(findings, hosts, environment);
  return findings;
}

Findings check_fabric(const std::vector<std::pair<std::string, std::string>>& environment) {
  std::string kept;
  std::string tuning;
  for (const auto& [name, value] : environment) {
    if (!is_fabric(name) || is_launchers(name)) continue;
    std::string& list = is_harmless(name, value) ? kept : tuning;
    list += (list.empty() ? "" : ", ") + name + "=" + value;
  }
  Findings findings;
  if (!kept.empty()) findings.push_back(ok("fabric", "set: " + kept));
  if (!tuning.empty()) {
    findings.push_back(warn("fabric", "tuning variables are set: " + tuning,
                            "keep them out of scripts: they were right for one machine and one "
                            "version, and hide what the library would choose"));
  }
  if (findings.empty()) {
    findings.push_back(ok("fabric", "no NCCL_, UCX_, OMPI_MCA_, FI_ or PSM variable is set"));
  }
  return findings;
}

}  // namespace concordat::cli::doctor
