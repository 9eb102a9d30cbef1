// Which processors each rank of a job may call its own.
//
//   auto report = comm::placement_report(comm, threads_per_rank);
//   auto plan = comm::plan_pins(report.ranks, comm::PinMode::automatic);   // the same on all ranks
//   const auto& mine = plan.own[comm.rank()];
//   if (!mine.empty()) device::pin_threads(mine, threads_per_rank);
//
// The decision is taken host by host, for all ranks of the host or for none:
// - ranks with one and the same set of processors share it out, whole cores first; sets that
//   differ must not overlap, and each rank then stays in its own;
// - a set must have a processor for every thread of its ranks;
// - OpenMP must not have been told to bind threads itself.
// What a job can know of others on the host is little: its affinity masks, its own ranks, and what
// the batch system says. So `automatic` pins only where a batch system gave the job the processors
// that it sees (Placement::granted); `on` takes the user's word for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "concordat/comm/runtime.hpp"

namespace concordat::comm {

enum class PinMode { off, automatic, on };

struct PinPlan {
  /// For each rank of the job: its processors, one for each of its threads first, then those that
  /// its other threads may use as well. Empty: not pinned.
  std::vector<std::vector<int>> own;
  std::vector<std::string> lines;  ///< for the log, one a host: what was done and why
};

/// Pure; `ranks` are in order, as placement_report gives them.
/// @throws Error(comm.cannot_pin) with PinMode::on, naming host, ranks and processors.
PinPlan plan_pins(const std::vector<Placement>& ranks, PinMode mode);

/// What a batch system says of a process that sees `processors` of the `online` ones of its host:
/// "Slurm job 17 ..." if they are the job's alone, empty if nothing says so. Known: Slurm with
/// confined tasks or a whole node, PBS and LSF with confined jobs. `environment` is ::getenv in
/// production.
std::string granted_processors(int processors, int online,
                               const std::function<const char*(const char*)>& environment);

/// Whether OpenMP was told to bind threads (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY).
bool openmp_binds(const std::function<const char*(const char*)>& environment);

}  // namespace concordat::comm
