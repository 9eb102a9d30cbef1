#include "site/job_control.hpp"

#include <array>

namespace concordat::site {

// Every rank installs the handlers, because srun and mpirun forward signals to all of them; what
// counts is what rank 0 saw.
JobControl::JobControl(comm::Communicator& comm, FileSystem& fs, const FileSystem::Path& run_folder,
                       Clock& clock)
    : comm_(comm), requests_(fs, run_folder, clock) {}

StopKind JobControl::poll() {
  std::array<std::int32_t, 2> mine{0, busy_ && busy_() ? 1 : 0};
  if (comm_.rank() == 0) mine[0] = static_cast<std::int32_t>(requests_.poll());
  if (comm_.size() > 1) comm::all_reduce_host<std::int32_t>(comm_, mine, comm::ReduceOp::max);
  all_idle_ = mine[1] == 0;
  return static_cast<StopKind>(mine[0]);
}

}  // namespace concordat::site
