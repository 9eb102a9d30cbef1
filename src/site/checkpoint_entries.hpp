// CheckpointEntries: the ledger entries of the generations that a training job saves. An entry is
// durable before its generation has a name; its index may come later, since a border that is away
// must not stop the inner steps.
//
//   CheckpointEntries entries(settings, comm, seams, CheckpointEntries::Writes::border);
//   engine.begin_save(..., {.before_publish = [&](auto& made) { entries.record(entry(made)); }});
//   if (!entries.wait(control)) return stopped();      // before what builds upon the generation
//
// Threads: one per rank. Failure: what ledger::SiteRecorder throws, agreed over the ranks.
#pragma once

#include <optional>

#include "concordat/comm/communicator.hpp"
#include "concordat/ledger/recorder.hpp"
#include "concordat/site/settings.hpp"
#include "concordat/site/training_job.hpp"
#include "site/job_control.hpp"

namespace concordat::site {

class CheckpointEntries {
 public:
  /// Who writes the ledger: a run that trains alone does while no border runs; the ranks of a
  /// federated run hand over always, because the log key stays with the border.
  enum class Writes { itself, border };

  /// Collective over `comm`.
  CheckpointEntries(const SiteSettings& settings, comm::Communicator& comm, const JobSeams& seams,
                    Writes writes);
  /// Rank 0 alone. The entry is durable when it returns.
  void record(const ledger::Entry& entry);
  /// Collective. Waits until every entry has its index; false when asked to stop.
  bool wait(JobControl& control, const std::function<void()>& waiting = {});
  /// Collective. The same, but only as long as a border holds its lock: nobody waits at the end of
  /// a job for a border that comes back some day, and it finds the entries then.
  void wait_while_border_runs(JobControl& control);

 private:
  bool wait_for(const std::function<bool()>& done, JobControl& control,
                const std::function<void()>& waiting = {});

  comm::Communicator& comm_;
  Clock& clock_;
  std::optional<ledger::SiteRecorder> recorder_;  ///< rank 0
  bool handed_ = false;                           ///< rank 0: something is out
};

}  // namespace concordat::site
