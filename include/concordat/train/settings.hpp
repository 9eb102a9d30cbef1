// What a training run is, as plain values: everything that the result depends on.
//
//   TrainSettings settings{.model = {.vocab = 257, .width = 128, .layers = 4, ...},
//                          .length = GlobalLength(128), .batch = 16, .micro_batch = 16};
//   settings.validate(mesh_shape);
#pragma once

#include <string>
#include <string_view>

#include "concordat/device/backend.hpp"
#include "concordat/device/ops/optimizer.hpp"
#include "concordat/model/config.hpp"
#include "concordat/model/layer.hpp"
#include "concordat/parallel/mesh.hpp"
#include "concordat/train/learning_rate.hpp"
#include "concordat/train/loss_scale.hpp"

namespace concordat::train {

using model::GlobalLength;

struct TrainSettings {
  model::ModelConfig model{};
  std::uint64_t seed = 1;    ///< of the initial weights
  GlobalLength length{128};  ///< positions of a training sequence
  std::int64_t batch = 16;   ///< sequences per step over all replicas: independent of the layout
  std::int64_t micro_batch = 16;  ///< sequences that a rank computes at once
  RateSchedule rate{};
  device::AdamwSettings adamw{.beta1 = 0.9F, .beta2 = 0.95F, .eps = 1e-8F, .weight_decay = 0.1F};
  float clip_norm = 1.0F;          ///< of the whole gradient; 0: no clipping
  Dtype compute = Dtype::f32;      ///< of what products read: f32, bf16 or f16
  LossScaleSettings loss_scale{};  ///< with f16
  model::Recompute recompute = model::Recompute::none;
  std::string schedule = "1f1b";  ///< of the pipeline: one of schedule_names (schedule.hpp)
  int chunks = 1;                 ///< parts of the model on each stage; more for "interleaved"
  std::int64_t bucket_elements = std::int64_t{1} << 22;
  /// Between layers each tp rank keeps its part of the rows of an activation; with tp = 1 nothing.
  bool sequence_parallel = false;
  int zero = 0;         ///< 1: master and moments are shared out over the replicas (dp x cp)
  bool overlap = true;  ///< gradients are summed beside the backward
  /// Units are captured once and replayed (unit_graphs.hpp). The bits are the same.
  bool graphs = false;
  /// The same bits over dp, pp, schedule, chunks, micro_batch, zero and overlap (step_plan.hpp).
  bool reproducible = false;
  std::int64_t logical_batch = 0;   ///< sequences of a logical micro-batch; 0: logical_unit()
  std::int64_t logical_groups = 0;  ///< of the step; dp divides them. 0: num_logical_groups()
  /// Elements of a tensor whose squares are summed together for the norm: changes its last bits.
  std::int64_t norm_block = std::int64_t{1} << 14;

  std::int64_t tokens_per_step() const { return batch * length.value(); }
  /// @throws Error(train.bad_settings | model.bad_config | model.bad_layout) with key, value and
  /// what would fit.
  void validate(const parallel::MeshShape& mesh) const;
  /// Also that the back end can do it. @throws Error(device.not_on_this_device) in addition.
  void validate(const parallel::MeshShape& mesh, const device::Backend& backend) const;
};

/// "fp32", "bf16", "fp16", and "none", "attention", "block".
/// @throws Error(train.bad_settings) for another name.
Dtype precision_named(std::string_view name);
model::Recompute recompute_named(std::string_view name);

/// What a rank needs, in bytes, before anything is allocated: for `train --check`.
struct MemoryEstimate {
  std::int64_t weights = 0;      ///< master and compute copy
  std::int64_t gradients = 0;    ///< reproducible: also the sums of groups that wait
  std::int64_t optimizer = 0;    ///< both moments
  std::int64_t activations = 0;  ///< of the micro-batches in flight, and logits
  /// Weights that are widened for products, where the back end does not multiply in 16 bits.
  std::int64_t scratch = 0;
  std::int64_t copies = 0;  ///< of weights, in the order that the product library reads fastest
  /// Weights and both moments on the host, for checkpoints: site::Engine's, not a Trainer's.
  std::int64_t saving = 0;
  std::int64_t total() const {
    return weights + gradients + optimizer + activations + scratch + copies + saving;
  }
};
/// Of the most loaded rank, within 15 % for models whose activations are not tiny. `backend` says
/// what its products keep and widen.
MemoryEstimate estimate_memory(const TrainSettings& settings, const parallel::MeshShape& mesh,
                               const device::Backend& backend);

}  // namespace concordat::train
