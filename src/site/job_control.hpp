// What every loop of a training job asks between two pieces of work: shall we stop, all together?
#pragma once

#include <functional>
#include <optional>

#include "concordat/comm/communicator.hpp"
#include "concordat/core/ids.hpp"
#include "concordat/core/stop.hpp"
#include "concordat/site/settings.hpp"
#include "site/progress_guard.hpp"

namespace concordat::site {

/// Rank 0 looks for requests to stop, all ranks learn; the same reduction tells whether any rank is
/// busy with something that runs beside the training.
/// Collective over `comm`, each call of it but carry(), watch(), all_idle() and
/// noticed().
class JobControl {
 public:
  /// @pre this job holds train.lock.
  JobControl(comm::Communicator& comm, FileSystem& fs, const FileSystem::Path& run_folder,
             Clock& clock, const JobSettings& settings = {});
  /// `busy` is asked by each poll() from now on; not collective, and cheap.
  void carry(std::function<bool()> busy) { busy_ = std::move(busy); }
  /// `look` is asked on rank 0 by each poll() from now on, every two seconds at most: a look at a
  /// file. An error of it counts as yes; who looks closely then gets it on all ranks.
  void watch(std::function<bool()> look) { look_ = std::move(look); }
  StopKind poll();
  /// poll() for what can only end early: whether to stop. A wish to save is kept for the next
  /// poll().
  bool stop_asked();
  /// Whether the last poll() saw what is watched for: the same on all ranks.
  bool noticed() const { return noticed_; }
  /// Whether no rank was busy at the last poll(): the same on all ranks.
  bool all_idle() const { return all_idle_; }

  /// The job begins at this place of a run that is not complete.
  /// @throws Error(site.no_progress) on all ranks: site/progress_guard.hpp.
  void started(std::int64_t step, std::uint32_t round);
  /// All that is this site's own of the round is done; what follows depends on others.
  void reached_exchange();
  /// What waits for others ask: true when asked to stop, and under train.exit_between_rounds once
  /// job.patience_s have passed since reached_exchange().
  bool leave_wait();
  /// After leave_wait() was true: if it was for want of patience, leaves WAITING for the border to
  /// bring this job back.
  void leave_to_border(const ExchangeId& exchange);

 private:
  comm::Communicator& comm_;
  std::function<bool()> busy_;
  bool look_again();
  bool all_idle_ = true;
  std::function<bool()> look_;
  std::optional<std::chrono::nanoseconds> looked_at_;  ///< rank 0
  bool noticed_ = false;
  bool save_asked_ = false;  ///< seen by stop_asked(), the same on all ranks
  FileSystem& fs_;
  FileSystem::Path run_folder_;
  Clock& clock_;
  bool exit_between_rounds_;
  std::chrono::nanoseconds patience_;
  std::chrono::nanoseconds patience_ends_{0};  ///< rank 0
  bool asked_ = false;                         ///< to stop, the same on all ranks
  StopRequests requests_;
  std::optional<ProgressGuard> guard_;  ///< rank 0, where a batch system brings jobs back
  bool told_guard_ = false;             ///< rank 0: that a person ended this job
};

}  // namespace concordat::site
