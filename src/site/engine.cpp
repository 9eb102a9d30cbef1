#include "site/engine.hpp"

#include <omp.h>

#include <cstdio>
#include <memory>

#include "concordat/core/log.hpp"
#include "concordat/observe/metrics.hpp"
#include "concordat/observe/progress.hpp"
#include "concordat/observe/prometheus.hpp"
#include "site/initial_weights.hpp"

namespace concordat::site {
namespace {

int set_threads(int threads) {
  omp_set_num_threads(threads);
  return threads;
}

std::vector<data::Dataset> open_held_out(const SiteSettings& settings, FileSystem& fs,
                                         ByteView data_key) {
  std::vector<data::Dataset> all;
  if (settings.local.eval_windows == 0) return all;
  for (const std::string& name : settings.datasets) {
    all.push_back(data::Dataset::open(fs, settings.folder / "data" / name, data_key,
                                      data::Split::validation, settings.seed));
  }
  return all;
}

std::string three_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

}  // namespace

train::TrainSettings train_settings(const SiteSettings& s) {
  train::TrainSettings t;
  t.model = s.model;
  t.seed = s.seed;
  t.length = train::GlobalLength(s.inner.length);
  t.batch = s.local.batch;
  t.micro_batch = s.local.micro_batch;
  t.schedule = s.local.schedule;
  t.chunks = s.local.chunks;
  t.rate = {.peak = s.inner.rate,
            .floor = s.inner.rate * s.inner.floor_ratio,
            .warmup_steps = s.inner.warmup_steps,
            .total_steps = s.total_steps()};
  t.adamw = {.beta1 = static_cast<float>(s.inner.beta1),
             .beta2 = static_cast<float>(s.inner.beta2),
             .eps = static_cast<float>(s.inner.epsilon),
             .weight_decay = static_cast<float>(s.inner.weight_decay)};
  t.clip_norm = static_cast<float>(s.inner.clip_norm);
  return t;
}

Engine::Engine(const SiteSettings& settings, comm::Communicator& comm, FileSystem& fs,
               const Clock& clock, ByteView data_key)
    : settings_(settings),
      comm_(comm),
      fs_(fs),
      clock_(clock),
      session_((set_threads(settings.local.threads), settings.local.device)),
      mesh_(comm, mesh_of(settings.layout, comm.size())),
      data_(open_training(fs, settings.folder / "data", settings.datasets, data_key, settings.seed,
                          settings.tokenizer, settings.model.vocab)),
      held_out_(open_held_out(settings, fs, data_key)),
      trainer_(train_settings(settings), session_.exec(), mesh_, data_, clock),
      state_(trainer_.make_state()) {}

std::vector<checkpoint::NamedTensor> Engine::tensors(
    const std::vector<checkpoint::NamedTensor>& extra) const {
  std::vector<checkpoint::NamedTensor> all;
  for (const train::StateTensor& part : state_.tensors()) {
    all.push_back(checkpoint::named_tensor(part.name, part.spec, Dtype::f32, part.local,
                                           mesh_.shape(), mesh_.coords()));
  }
  all.insert(all.end(), extra.begin(), extra.end());
  return all;
}

checkpoint::Saved Engine::save(std::uint64_t round,
                               const std::vector<checkpoint::NamedTensor>& extra,
                               checkpoint::Metadata metadata) {
  trainer_.read_state(state_);
  metadata[std::string(checkpoint::keys::layout)] = mesh_.shape().text();
  metadata[std::string(checkpoint::keys::instruction_set)] =
      session_.backend().instructions_in_use();
  metadata[std::string(checkpoint::keys::threads_per_rank)] =
      std::to_string(settings_.local.threads);
  metadata[std::string(checkpoint::keys::data_cursor)] = std::to_string(trainer_.data_cursor());
  metadata[std::string(checkpoint::keys::rng_seed)] = std::to_string(settings_.seed);
  metadata[std::string(checkpoint::keys::loss_scale)] = "1";
  metadata[std::string(checkpoint::keys::effective_config)] = settings_.effective_toml;
  return checkpoint::save_generation(
      comm_, fs_, settings_.run_folder() / "checkpoints",
      {.step = static_cast<std::uint64_t>(trainer_.next_step()), .round = round}, tensors(extra),
      metadata);
}

std::optional<checkpoint::Restored> Engine::restore(
    const std::vector<checkpoint::NamedTensor>& extra) {
  auto restored = checkpoint::restore_newest(comm_, fs_, settings_.run_folder() / "checkpoints",
                                             tensors(extra));
  if (!restored) {
    if (!settings_.local.initial_weights.empty()) import_weights();
    return restored;
  }
  trainer_.write_state(state_, static_cast<std::int64_t>(restored->position.step));
  if (comm_.rank() != 0) return restored;
  for (const auto& skipped : restored->skipped) {
    log::warn("generation " + skipped.name + " was passed over: " + skipped.reason);
  }
  auto changed = [&](std::string_view key, const std::string& now) {
    auto found = restored->metadata.find(std::string(key));
    if (found == restored->metadata.end() || found->second == now) return;
    log::warn("the " + std::string(key) + " changed from '" + found->second + "' to '" + now +
              "': the run goes on, but its bits may differ from an undisturbed run's");
  };
  changed(checkpoint::keys::layout, mesh_.shape().text());
  changed(checkpoint::keys::instruction_set, session_.backend().instructions_in_use());
  changed(checkpoint::keys::threads_per_rank, std::to_string(settings_.local.threads));
  log::info("restored " + restored->name + ": step " + std::to_string(restored->position.step) +
            ", round " + std::to_string(restored->position.round));
  return restored;
}

void Engine::import_weights() {
  Tensor weights = host_tensor(Dtype::f32, {trainer_.layout().num_local});
  read_initial_weights(settings_, fs_, comm_, trainer_.stage().specs(), mesh_.shape(),
                       mesh_.coords(), weights.span<float>());
  trainer_.write_weights(weights);
  if (comm_.rank() == 0) log::info("weights of " + settings_.local.initial_weights.string());
}

void Engine::report_steps(std::int64_t total_steps) {
  if (comm_.rank() != 0) return;
  auto metrics = std::make_shared<observe::MetricsWriter>(
      fs_, settings_.run_folder() / "metrics.jsonl", clock_);
  auto gauges =
      std::make_shared<observe::PrometheusFile>(fs_, settings_.run_folder() / "metrics.prom");
  auto progress = std::make_shared<observe::Progress>(
      clock_, observe::ProgressOptions{.total = total_steps, .start = trainer_.next_step()});
  auto units = std::make_shared<std::int64_t>(0);
  trainer_.on_step(
      [this, metrics, gauges, progress, units, total_steps](const train::StepReport& r) {
        *units += r.tokens;
        metrics->append("step", {{"step", r.step},
                                 {"round", r.step / settings_.inner_steps},
                                 {"loss", r.loss},
                                 {"rate", r.rate},
                                 {"gradient_norm", r.gradient_norm},
                                 {"tokens", r.tokens},
                                 {"tokens_per_s", r.tokens_per_s},
                                 {"flops_per_s", r.flops_per_s}});
        bool last = r.step + 1 == total_steps;
        if ((r.step + 1) % settings_.local.log_every != 0 && !last) return;
        progress->advance(r.step + 1, *units);
        log::info(progress->line("loss " + three_digits(r.loss) + "  norm " +
                                 three_digits(r.gradient_norm) + "  " +
                                 observe::short_count(r.flops_per_s) + "FLOP/s"));
        observe::Labels site{{"site", settings_.name}, {"run", settings_.run}};
        gauges->set("concordat_step", "Inner steps done", site, static_cast<double>(r.step + 1));
        gauges->set("concordat_loss_nats", "Training loss per token", site, r.loss);
        gauges->set("concordat_tokens_per_second", "Training rate", site, r.tokens_per_s);
        gauges->write();
      });
}

std::optional<double> Engine::validate() {
  double bits = 0.0;
  std::int64_t bytes = 0;
  for (data::Dataset& dataset : held_out_) {
    train::DatasetValidation windows(dataset, train::GlobalLength(settings_.inner.length),
                                     static_cast<std::uint64_t>(settings_.local.eval_windows));
    train::ValidationReport report = trainer_.validate(windows);
    bits += report.bits_per_byte * static_cast<double>(report.bytes);
    bytes += report.bytes;
  }
  if (bytes == 0) return std::nullopt;
  return bits / static_cast<double>(bytes);
}

}  // namespace concordat::site
