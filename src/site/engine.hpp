// Engine: what a rank of a training job works with, assembled from the settings: back end, mesh,
// data, trainer, host state.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "concordat/checkpoint/saver.hpp"
#include "concordat/crypto/secret_bytes.hpp"
#include "concordat/observe/metrics.hpp"
#include "concordat/site/settings.hpp"
#include "concordat/train/trainer.hpp"
#include "site/job_data.hpp"

namespace concordat::site {

/// The trainer's settings of a site's; pure.
train::TrainSettings train_settings(const SiteSettings& settings);

/// What a rank of a training job needs: the trainer's estimate, the host's copy of its state, and
/// its part of the snapshot that a generation is written from. `other_bytes`: what generations hold
/// of all ranks besides weights and moments.
train::MemoryEstimate job_memory(const train::TrainSettings& settings,
                                 const parallel::MeshShape& mesh, const device::Backend& backend,
                                 std::int64_t other_bytes = 0);

/// What a save tells of itself.
struct SaveHooks {
  /// As in checkpoint::SaveOptions: rank 0, before the generation has its name.
  std::function<void(const checkpoint::Saved&)> before_publish{};
  /// All ranks, when the generation is durable.
  std::function<void(const checkpoint::Saved&)> published{};
  /// Generations that this save must not remove.
  std::vector<std::string> pins{};
};

class Engine {
 public:
  /// Collective over `comm`. `data_key` opens the shards.
  Engine(const SiteSettings& settings, comm::Communicator& comm, FileSystem& fs, const Clock& clock,
         ByteView data_key);

  train::Trainer& trainer() { return trainer_; }
  comm::Communicator& comm() { return comm_; }
  device::Session& session() { return session_; }
  parallel::ProcessMesh& mesh() { return mesh_; }
  const SiteSettings& settings() const { return settings_; }

  // Saving: weights, moments and `extra` at the trainer's step (checkpoint/saver.hpp). Collective.

  /// Takes the snapshot; a generation in flight is finished first. The hooks are called by later
  /// calls, so they hold values of now.
  void begin_save(std::uint64_t round, const std::vector<checkpoint::NamedTensor>& extra,
                  checkpoint::Metadata metadata, SaveHooks hooks);
  /// At step boundaries; `all_written`: no rank is writing_save(), as all ranks know it.
  void poll_save(bool all_written);
  /// Returns when no generation is in flight.
  void finish_save();
  /// Not collective: whether this rank's thread still writes.
  bool writing_save() const { return saver_.writing(); }

  /// Fills weights, moments and `extra` from the newest generation that verifies; without any,
  /// nullopt, and the weights are the initial ones: train.initial_weights, or drawn. Collective.
  std::optional<checkpoint::Restored> restore(const std::vector<checkpoint::NamedTensor>& extra);
  /// One line of every step goes to metrics.jsonl, one of every log_every to the log (rank 0), and
  /// before them what the run will need and after the first step what it took. Collective.
  void report_steps(std::int64_t total_steps);
  /// Bits per byte of the validation splits, weighted by bytes; nullopt if eval_windows is 0, or
  /// when `stop`, which is asked as in Trainer::validate(), said true.
  std::optional<double> validate(const std::function<bool()>& stop);

 private:
  checkpoint::Metadata metadata_now(checkpoint::Metadata metadata) const;
  void report_saved(const checkpoint::Saved& saved);
  void write_loss_scale(checkpoint::Metadata& metadata) const;
  void read_loss_scale(const checkpoint::Metadata& metadata);
  double peak_of_the_site();
  void announce(double peak);
  void report_memory(observe::MetricsWriter& metrics) const;
  void import_weights();
  /// What of the layout decides over bits, as checkpoints record it.
  std::string layout_text() const;
  /// What the bits of reproducible mode depend on, or "off".
  std::string reproducible_text() const;
  std::vector<checkpoint::NamedTensor> tensors(
      const train::HostState& state, const std::vector<checkpoint::NamedTensor>& extra) const;

  SiteSettings settings_;
  comm::Communicator& comm_;
  FileSystem& fs_;
  const Clock& clock_;
  std::uint64_t resident_at_start_;
  device::Session session_;
  std::unique_ptr<comm::Communicator> device_ranks_;  ///< null: comm_ reaches the tensors
  parallel::ProcessMesh mesh_;
  MixedTraining data_;
  std::vector<data::Dataset> held_out_;
  train::Trainer trainer_;
  train::HostState state_;
  std::int64_t extra_bytes_ = 0;  ///< of what generations hold besides, all ranks together
  std::shared_ptr<observe::MetricsWriter> metrics_;  ///< rank 0, from report_steps() on
  struct Saving {
    SaveHooks hooks;
    checkpoint::Position position;
    std::chrono::nanoseconds snapshot{0};
    std::chrono::nanoseconds pause{0};  ///< all that training stood still for it
  };
  Saving saving_;
  checkpoint::FastTier fast_;
  checkpoint::Saver saver_;
};

}  // namespace concordat::site
