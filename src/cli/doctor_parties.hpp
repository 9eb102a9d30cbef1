// Several parties in one mpirun, as the mpi road has them: `concordat doctor` in the place of
// `coordinate`, `border` and `train`. The first process of a site is its border, as they are
// started; the others are its ranks. Parties are told apart by their files.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/doctor_examine.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/federation/roster.hpp"

namespace concordat::cli::doctor {

/// What the mpi road needs of the roster; null: it does not verify.
Findings check_mpi_road(const federation::SignedRoster* roster);
/// Whether the processes of a job are all that the roster names, and nobody else.
Findings check_parties(const std::vector<comm::Seat>& seats, const federation::Roster& roster);

/// Collective over `all`. Whether its processes were started with different files or flags.
bool of_several_parties(comm::Communicator& all, const Options& options);
/// examine() for every party's processes apart, and what concerns all of them together: launch,
/// who is there, threads on each host. One report, on rank 0 of `all`.
ExitCode examine_parties(comm::Communicator& all, const Options& options,
                         const std::function<void(const Findings&)>& print);

}  // namespace concordat::cli::doctor
