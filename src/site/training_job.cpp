#include "concordat/site/training_job.hpp"

#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/observe/metrics.hpp"
#include "site/checkpoint_entries.hpp"
#include "site/engine.hpp"
#include "site/federated_rounds.hpp"
#include "site/job_control.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {
namespace {

ExitCode train_alone(Engine& engine, JobControl& control, const JobSeams& seams) {
  const SiteSettings& settings = engine.settings();
  std::int64_t total = settings.total_steps();
  bool root = engine.comm().rank() == 0;
  CheckpointEntries entries(settings, engine.comm(), seams, CheckpointEntries::Writes::itself);
  auto restored = engine.restore({});
  engine.report_steps(total);
  // One that only the fast tier has is written again.
  std::int64_t last_saved = restored && !restored->fast ? engine.trainer().next_step() : -1;
  auto begin_save = [&] {
    const std::int64_t step = engine.trainer().next_step();
    if (last_saved == step) return;
    engine.begin_save(
        static_cast<std::uint64_t>(step / settings.inner_steps), {}, {},
        {.before_publish = [&entries, &settings, step](const checkpoint::Saved& made) {
          entries.record(ledger::checkpoint_entry(settings.run, made.name,
                                                  static_cast<std::uint64_t>(step), Round(0),
                                                  Digest{}, made.manifest));
        }});
    last_saved = step;
  };
  if (engine.trainer().next_step() < total) control.started(engine.trainer().next_step(), 0);
  while (engine.trainer().next_step() < total) {
    StopKind stop = control.poll();
    engine.poll_save(control.all_idle());
    if (stop != StopKind::none) begin_save();
    if (stop == StopKind::stop || stop == StopKind::requeue) {
      engine.finish_save();
      control.poll();  // a wish to stay stopped that came while this was written
      if (root) log::info("stopped as asked; run the same command to continue");
      return ExitCode::saved;
    }
    engine.trainer().step();
    kill_point("train.step");
    std::int64_t every = settings.local.save_every;
    if (every > 0 && engine.trainer().next_step() % every == 0) begin_save();
  }
  begin_save();
  engine.finish_save();
  entries.wait_while_border_runs(control);
  bool stopped = false;
  const auto bits = engine.validate([&] { return stopped = control.stop_asked(); });
  if (stopped) {
    if (root) log::info("stopped as asked in the validation; run the same command to validate");
    return ExitCode::saved;
  }
  if (bits && root) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", *bits);
    log::info(std::string("done; validation ") + text + " bits per byte");
  }
  return ExitCode::done;
}

}  // namespace

ExitCode run_training(const SiteSettings& settings, const std::optional<FederationTerms>& terms,
                      comm::Communicator& comm, const JobSeams& seams) {
  std::optional<RoleLock> lock;
  std::optional<crypto::SecretBytes> data_key;
  comm::agreed(comm, [&] {
    if (comm.rank() == 0) {
      RunFolder folder(seams.fs, settings.run_folder());
      lock.emplace(settings.run_folder() / "train.lock", "train");
      write_atomically(seams.fs, settings.run_folder() / "effective.toml",
                       as_bytes(settings.effective_toml));
    }
    data_key.emplace(crypto::load_data_key(seams.fs, settings.folder / "keys"));
  });
  JobControl control(comm, seams.fs, settings.run_folder(), seams.clock, settings.job);
  Engine engine(settings, comm, seams.fs, seams.clock, data_key->view());
  control.carry([&engine] { return engine.writing_save(); });
  return terms ? train_federated(engine, control, *terms, seams)
               : train_alone(engine, control, seams);
}

}  // namespace concordat::site
