// What every loop of a training job asks between two pieces of work: shall we stop, all together?
#pragma once

#include <functional>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/stop.hpp"

namespace concordat::site {

/// Rank 0 looks for requests to stop, all ranks learn; the same reduction tells whether any rank is
/// busy with something that runs beside the training.
class JobControl {
 public:
  JobControl(comm::Communicator& comm, FileSystem& fs, const FileSystem::Path& run_folder,
             Clock& clock);
  /// `busy` is asked by each poll() from now on; not collective, and cheap.
  void carry(std::function<bool()> busy) { busy_ = std::move(busy); }
  /// Collective over `comm`.
  StopKind poll();
  /// Whether no rank was busy at the last poll(): the same on all ranks.
  bool all_idle() const { return all_idle_; }

 private:
  comm::Communicator& comm_;
  std::function<bool()> busy_;
  bool all_idle_ = true;
  StopRequests requests_;
};

}  // namespace concordat::site
