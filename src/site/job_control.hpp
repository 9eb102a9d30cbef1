// What every loop of a training job asks between two pieces of work: shall we stop, all together?
#pragma once

#include "concordat/comm/communicator.hpp"
#include "concordat/core/stop.hpp"

namespace concordat::site {

/// Rank 0 looks, all ranks learn. Collective over `comm`.
class JobControl {
 public:
  JobControl(comm::Communicator& comm, FileSystem& fs, const FileSystem::Path& run_folder,
             Clock& clock);
  StopKind poll();

 private:
  comm::Communicator& comm_;
  StopRequests requests_;
};

}  // namespace concordat::site
