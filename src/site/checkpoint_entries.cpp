#include "site/checkpoint_entries.hpp"

#include "concordat/comm/agree.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/key_files.hpp"
#include "site/wait.hpp"

namespace concordat::site {

CheckpointEntries::CheckpointEntries(const SiteSettings& settings, comm::Communicator& comm,
                                     const JobSeams& seams, Writes writes)
    : comm_(comm), clock_(seams.clock) {
  comm::agreed(comm_, [&] {
    if (comm_.rank() != 0) return;
    ledger::SiteRecorder::WithLedger with_ledger;
    if (writes == Writes::itself) {
      with_ledger = [seams, folder = settings.folder](const ledger::SiteRecorder::Work& work) {
        auto keys = crypto::load_site_keys(seams.fs, folder / "keys");
        auto ledger = ledger::Ledger::open(seams.fs, folder / "ledger",
                                           ledger::log_origin(keys.name, keys.log.verify_key()),
                                           keys.log, seams.clock);
        work(ledger);
      };
    }
    recorder_.emplace(seams.fs, settings.folder, "train", std::move(with_ledger));
  });
}

void CheckpointEntries::record(const ledger::Entry& entry) {
  if (!recorder_->record(entry)) handed_ = true;
}

bool CheckpointEntries::wait_for(const std::function<bool()>& done, JobControl& control,
                                 const std::function<void()>& waiting) {
  return wait_until(comm_, clock_, done, [&control, &waiting] {
    if (waiting) waiting();
    return control.stop_asked();
  });
}

bool CheckpointEntries::wait(JobControl& control, const std::function<void()>& waiting) {
  return wait_for(
      [this] {
        if (handed_) handed_ = !recorder_->settled();
        return !handed_;
      },
      control, waiting);
}

void CheckpointEntries::wait_while_border_runs(JobControl& control) {
  wait_for(
      [this] {
        if (handed_) handed_ = !recorder_->settled();
        return !handed_ || !recorder_->writer();
      },
      control);
  if (handed_)
    log::info("checkpoint entries wait for the border in " + recorder_->folder().string());
}

}  // namespace concordat::site
