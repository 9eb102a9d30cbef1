#include "site/engine.hpp"

#include <omp.h>

#include "concordat/comm/runtime.hpp"
#include "concordat/core/log.hpp"
#include "concordat/observe/memory.hpp"
#include "concordat/site/generation_bytes.hpp"
#include "site/fast_folder.hpp"
#include "site/initial_weights.hpp"

namespace concordat::site {
namespace {

std::unique_ptr<device::Backend> backend_of(const LocalSettings& local, comm::Communicator& comm) {
  omp_set_num_threads(local.threads);
  return device::make_backend(local.device,
                              {.tf32 = local.tf32, .local_rank = comm::local_rank(comm)});
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

}  // namespace

train::TrainSettings train_settings(const SiteSettings& s) {
  train::TrainSettings t;
  t.model = s.model;
  t.seed = s.seed;
  t.length = train::GlobalLength(s.inner.length);
  t.batch = s.local.batch;
  t.micro_batch = s.local.micro_batch;
  t.reproducible = s.local.reproducible;
  t.logical_batch = s.local.logical_batch;
  t.logical_groups = s.local.logical_groups;
  t.schedule = s.local.schedule;
  t.chunks = s.local.chunks;
  t.sequence_parallel = s.layout.sequence_parallel && s.layout.tp > 1;
  t.zero = s.layout.zero;
  t.overlap = s.layout.overlap;
  t.graphs = s.local.graphs;
  t.rate = {.peak = s.inner.rate,
            .floor = s.inner.rate * s.inner.floor_ratio,
            .warmup_steps = s.inner.warmup_steps,
            .total_steps = s.total_steps(),
            .shape = train::rate_shape_named(s.inner.schedule),
            .decay_share = s.inner.decay_share};
  t.compute = train::precision_named(s.local.precision);
  t.recompute = train::recompute_named(s.local.recompute);
  t.adamw = {.beta1 = static_cast<float>(s.inner.beta1),
             .beta2 = static_cast<float>(s.inner.beta2),
             .eps = static_cast<float>(s.inner.epsilon),
             .weight_decay = static_cast<float>(s.inner.weight_decay)};
  t.clip_norm = static_cast<float>(s.inner.clip_norm);
  return t;
}

train::MemoryEstimate job_memory(const train::TrainSettings& settings,
                                 const parallel::MeshShape& mesh, const device::Backend& backend,
                                 std::int64_t other_bytes) {
  train::MemoryEstimate memory = train::estimate_memory(settings, mesh, backend);
  // Weights and both moments: this rank's on the host, and its part of everybody's snapshot.
  const auto everything = static_cast<std::int64_t>(
      generation_bytes(settings.model, static_cast<std::uint64_t>(other_bytes)));
  memory.saving = 3 * memory.gradients + (everything + mesh.size() - 1) / mesh.size();
  return memory;
}

Engine::Engine(const SiteSettings& settings, comm::Communicator& comm, FileSystem& fs,
               const Clock& clock, ByteView data_key)
    : settings_(settings),
      comm_(comm),
      fs_(fs),
      clock_(clock),
      resident_at_start_(observe::process_memory().resident_bytes),
      session_(backend_of(settings.local, comm)),
      device_ranks_(session_.backend().communicator(comm)),
      mesh_(device_ranks_ ? *device_ranks_ : comm, mesh_of(settings.layout, comm.size())),
      data_(open_training(fs, settings.folder / "data", settings.datasets, data_key, settings.seed,
                          settings.tokenizer, settings.model.vocab)),
      held_out_(open_held_out(settings, fs, data_key)),
      trainer_(train_settings(settings), session_.exec(), mesh_, data_, clock),
      state_(trainer_.make_state()),
      fast_(fast_tier_of(settings, comm, fs)),
      saver_(comm, fs, clock, settings.run_folder() / "checkpoints", fast_) {}

std::vector<checkpoint::NamedTensor> Engine::tensors(
    const train::HostState& state, const std::vector<checkpoint::NamedTensor>& extra) const {
  std::vector<checkpoint::NamedTensor> all;
  for (const train::StateTensor& part : state.tensors()) {
    all.push_back(checkpoint::named_tensor(part.name, part.spec, Dtype::f32, part.local,
                                           mesh_.shape(), mesh_.coords()));
  }
  all.insert(all.end(), extra.begin(), extra.end());
  return all;
}

std::string Engine::layout_text() const {
  const train::TrainSettings& settings = trainer_.settings();
  return mesh_.shape().text() + (settings.sequence_parallel ? " sequence_parallel" : "") +
         (settings.zero > 0 ? " zero=" + std::to_string(settings.zero) : "");
}

std::string Engine::reproducible_text() const {
  const train::TrainSettings& settings = trainer_.settings();
  if (!settings.reproducible) return "off";
  return "logical_batch=" + std::to_string(train::logical_unit(settings)) +
         " logical_groups=" + std::to_string(train::num_logical_groups(settings)) +
         " cp=" + std::to_string(mesh_.shape().cp) + " tp=" + std::to_string(mesh_.shape().tp) +
         (settings.sequence_parallel ? " sequence_parallel" : "");
}

std::optional<checkpoint::Restored> Engine::restore(
    const std::vector<checkpoint::NamedTensor>& extra) {
  extra_bytes_ = 0;
  for (const auto& tensor : extra) {
    extra_bytes_ += num_elements(tensor.shape) * static_cast<std::int64_t>(size_of(tensor.dtype));
  }
  saver_.reserve(tensors(state_, extra));
  std::vector<checkpoint::Skipped> skipped;
  auto restored =
      checkpoint::restore_newest(comm_, fs_, settings_.run_folder() / "checkpoints",
                                 tensors(state_, extra), {.fast = fast_, .skipped = &skipped});
  if (comm_.rank() == 0) {
    for (const auto& [name, reason] : skipped) {
      log::warn("generation " + name + " was passed over: " + reason);
    }
  }
  if (!restored) {
    if (!settings_.local.initial_weights.empty()) import_weights();
    return restored;
  }
  trainer_.write_state(state_, static_cast<std::int64_t>(restored->position.step));
  read_loss_scale(restored->metadata);
  if (comm_.rank() != 0) return restored;
  auto changed = [&](std::string_view key, const std::string& now,
                     const std::string& but = "its bits may differ from an undisturbed run's") {
    auto found = restored->metadata.find(std::string(key));
    if (found == restored->metadata.end() || found->second == now) return;
    log::warn("the " + std::string(key) + " changed from '" + found->second + "' to '" + now +
              "': the run goes on, but " + but);
  };
  // In reproducible mode the bits depend on what its text names, not on the rest of the layout.
  if (!trainer_.settings().reproducible) changed(checkpoint::keys::layout, layout_text());
  restored->metadata.try_emplace(std::string(checkpoint::keys::reproducible), "off");
  changed(checkpoint::keys::reproducible, reproducible_text());
  changed(checkpoint::keys::instruction_set, session_.backend().instructions_in_use());
  changed(checkpoint::keys::rng_seed, std::to_string(settings_.seed),
          "its data come in another order from here on: some are seen again and some are left out");
  changed(checkpoint::keys::data_cursor, std::to_string(trainer_.data_cursor()),
          "at another place in its data: some are seen again or left out (train.batch is another)");
  changed(checkpoint::keys::threads_per_rank, std::to_string(settings_.local.threads));
  changed(checkpoint::keys::precision, std::string(name_of(trainer_.settings().compute)));
  log::info("restored " + restored->name + (restored->fast ? " from the fast tier" : "") +
            ": step " + std::to_string(restored->position.step) + ", round " +
            std::to_string(restored->position.round));
  return restored;
}

void Engine::import_weights() {
  Tensor weights = host_tensor(Dtype::f32, {trainer_.layout().num_local});
  read_initial_weights(settings_, fs_, comm_, trainer_.stage().specs(), mesh_.shape(),
                       mesh_.coords(), weights.span<float>());
  trainer_.write_weights(weights);
  if (comm_.rank() == 0) log::info("weights of " + settings_.local.initial_weights.string());
}

void Engine::read_loss_scale(const checkpoint::Metadata& metadata) {
  const auto text = [&](std::string_view key) -> std::string {
    const auto found = metadata.find(std::string(key));
    return found == metadata.end() ? "" : found->second;
  };
  const auto number = [&](std::string_view key) -> std::int64_t {
    const std::string value = text(key);
    return value.empty() ? 0 : std::stoll(value);
  };
  train::LossScaleState state = trainer_.loss_scale();
  // Another precision's scale says nothing about this one's.
  if (text(checkpoint::keys::precision) == name_of(Dtype::f16)) {
    state.scale = static_cast<double>(number(checkpoint::keys::loss_scale));
    state.good_steps = number(checkpoint::keys::loss_scale_good_steps);
  }
  state.skipped = number(checkpoint::keys::skipped_steps);
  trainer_.restore_loss_scale(state);
}

std::optional<double> Engine::validate(const std::function<bool()>& stop) {
  double bits = 0.0;
  std::int64_t bytes = 0;
  for (data::Dataset& dataset : held_out_) {
    train::DatasetValidation windows(dataset, train::GlobalLength(settings_.inner.length),
                                     static_cast<std::uint64_t>(settings_.local.eval_windows));
    const auto report = trainer_.validate(windows, stop);
    if (!report) return std::nullopt;
    bits += report->bits_per_byte * static_cast<double>(report->bytes);
    bytes += report->bytes;
  }
  if (bytes == 0) return std::nullopt;
  return bits / static_cast<double>(bytes);
}

}  // namespace concordat::site
