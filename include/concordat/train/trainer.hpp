// Trainer: optimizer steps of one model on one site's ranks. It knows nothing of federations.
//
//   device::Session session("cpu");
//   parallel::ProcessMesh mesh(comm, {.dp = comm.size()});
//   Trainer trainer(settings, session.exec(), mesh, training_data, system_clock());
//   trainer.on_step([&](const StepReport& report) { metrics.append("step", fields(report)); });
//   while (trainer.next_step() < 360) trainer.step();
//   ValidationReport held_out = trainer.validate(validation_data);
//
// Ranks on the cp axis load the same samples, and each takes its part of every sequence.
//
// A federation drives it from outside: read_weights() and write_weights() move the fp32 master in
// local flat space, for which layout() has the segments; the moments stay.
//
// Everything is collective over the mesh: all ranks make the same calls. Threads: one host thread.
// Failure: Error(train.diverged) when loss or gradient is not finite, on every rank at the same
// step, and that step has changed no weight. In fp16 an inf in the gradient skips the step instead
// and halves the loss scale (loss_scale.hpp), until no smaller one is left. Data that cannot be
// read on one rank ends the step there with its Error and on the others with comm.peer_failed.
// After the first step nothing is allocated but a few host objects.
#pragma once

#include <functional>
#include <optional>

#include "concordat/core/clock.hpp"
#include "concordat/model/stage.hpp"
#include "concordat/parallel/canonical_space.hpp"
#include "concordat/train/data.hpp"
#include "concordat/train/gradient_reducer.hpp"
#include "concordat/train/micro_batches.hpp"
#include "concordat/train/optimizer.hpp"
#include "concordat/train/schedule.hpp"
#include "concordat/train/settings.hpp"
#include "concordat/train/state.hpp"
#include "concordat/train/step_plan.hpp"
#include "concordat/train/unit_graphs.hpp"

namespace concordat::train {

struct StepReport {
  std::int64_t step = 0;  ///< index of the step, from 0
  double loss = 0.0;      ///< mean over the step's targets, nats per token
  double rate = 0.0;
  double gradient_norm = 0.0;  ///< before clipping; not finite when the step was skipped
  std::int64_t tokens = 0;     ///< of the step, all replicas
  double seconds = 0.0;
  double tokens_per_s = 0.0;
  double flops_per_s = 0.0;  ///< model FLOPs of all ranks: flops_per_token (model/config.hpp)
  double loss_scale = 1.0;   ///< of this step
  bool skipped = false;      ///< fp16: the gradient was not finite, nothing was changed
};

struct ValidationReport {
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;  ///< of text that the targets stand for
  double nats_per_token = 0.0;
  double bits_per_byte = 0.0;
};

class Trainer {
 public:
  using StepCallback = std::function<void(const StepReport&)>;

  /// Everything given must outlive the trainer. Starts at step 0 with the initial weights of
  /// settings.seed. @throws Error(train.bad_settings | model.bad_config | model.bad_layout).
  Trainer(const TrainSettings& settings, device::Exec& exec, parallel::ProcessMesh& mesh,
          TrainingData& data, const Clock& clock);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// One optimizer step on the samples next_step() * batch + [0, batch).
  StepReport step();
  /// Index of the step that comes next: the updates made so far and the steps left out.
  std::int64_t next_step() const { return next_step_; }
  /// Goes on at `step` without the steps before it: their samples are left out, the rate is that of
  /// `step`, and they count as no updates. @pre step >= next_step().
  void skip_to(std::int64_t step);
  /// First sample of the next step in the global order: the data cursor.
  std::uint64_t data_cursor() const {
    return static_cast<std::uint64_t>(next_step_ * settings_.batch);
  }
  void on_step(StepCallback callback) { callback_ = std::move(callback); }

  /// Mean loss over all windows, shared out over the replicas. Changes nothing.
  /// @throws Error(train.bad_settings) if there are no windows.
  ValidationReport validate(ValidationData& data);
  /// The same, unless `stop` says true in between: nullopt then. All ranks ask it at the same
  /// points, before the first window and once for as many windows as a step has samples, so it may
  /// be collective over the mesh.
  std::optional<ValidationReport> validate(ValidationData& data, const std::function<bool()>& stop);

  const TrainSettings& settings() const { return settings_; }
  const parallel::CanonicalSpace& space() const { return space_; }
  /// This rank's shards in local flat space: what read_weights() and write_weights() move.
  const parallel::LocalLayout& layout() const { return layout_; }
  model::Stage& stage() { return stage_; }
  /// Null without settings.graphs.
  const UnitGraphs* graphs() const { return graphs_.get(); }

  /// Copies the fp32 master into `host` [layout().num_local] f32.
  void read_weights(const Tensor& host);
  /// Replaces the fp32 master and the compute copy. Padding must be 0. The moments stay.
  void write_weights(const Tensor& host);

  /// Copies weights and moments into `state`. @pre made by make_state() of this trainer's layout.
  void read_state(HostState& state);
  /// Weights and moments for who copies them at once: views of the optimizer's own tensors where
  /// these lie whole on the host, else of `state`, into which they were read. Valid until the next
  /// step. Collective over the replicas under ZeRO-1.
  HostState state_to_copy(HostState& state);
  /// Replaces weights and moments, and goes on at this step.
  void write_state(const HostState& state, std::int64_t next_step);
  /// The loss scale and the steps skipped: saved and restored with the state.
  const LossScaleState& loss_scale() const { return scaler_.state(); }
  void restore_loss_scale(const LossScaleState& state) { scaler_.restore(state); }
  /// What this rank holds now: weights, gradients and moments, activations, scratch.
  MemoryEstimate memory_in_use() const;
  /// Host memory for this rank's state, named for checkpoints.
  HostState make_state() const;

 private:
  void load_batch();
  StepReport report(double loss_sum, double squares, double rate, double seconds) const;
  bool skips(bool found_inf) const { return found_inf && scaler_.can_back_off(); }
  double total_loss();
  void refuse_divergence(double loss_sum, bool found_inf);

  TrainSettings settings_;
  device::Exec& exec_;
  parallel::ProcessMesh& mesh_;
  TrainingData& data_;
  const Clock& clock_;
  StepPlan plan_;
  model::Stage stage_;
  parallel::CanonicalSpace space_;
  parallel::LocalLayout layout_;
  Ownership ownership_;
  GradientNorm norm_;
  AdamW optimizer_;
  GradientReducer reducer_;
  MicroBatches batches_;  // the plan's units
  std::unique_ptr<UnitGraphs> graphs_;
  Schedule schedule_;
  LossScaler scaler_;
  Tensor group_losses_;  // [groups of the step] f64
  Tensor loss_;          // 0-d f64
  std::vector<std::int32_t> tokens_;
  std::int64_t next_step_ = 0;
  StepCallback callback_;
};

}  // namespace concordat::train
