// The mpi road at the command line: coordinator, borders and training ranks in one mpirun.
#pragma once

#include <span>

#include "cli/site_command.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/coordinator/coordinator.hpp"

namespace concordat::cli {

/// `--road=NAME` is short for `--federation.road=NAME`.
Args expand_road_flag(Args args);

/// MPI for this process. It takes nothing from our command line.
comm::Runtime start_runtime();

/// Everything that a federation in one mpirun needs is there, and the roster allows it. Collective:
/// every process finds the same. @throws Error(usage) naming who is there and who is missing;
/// Error(refused) if the roster does not allow it.
void require_one_mpirun(const comm::Split& split, const federation::SignedRoster& roster);
/// The same for given seats: what is wrong with them, or "".
struct Attendance {
  std::string present{};
  std::string missing{};  ///< empty: nobody
  std::string too_many{};
};
Attendance attendance(std::span<const comm::Seat> seats, const federation::Roster& roster);

/// `concordat border` and `concordat coordinate` on the mpi road; the exit code.
int border_in_one_mpirun(const SiteInput& input);
int coordinate_in_one_mpirun(const coordinator::CoordinatorSettings& settings);

}  // namespace concordat::cli
