// StepPlan: what a replica computes of a step, in which units, and how their gradients are grouped.
//
//   StepPlan plan = plan_step(settings, mesh.shape(), mesh.coords().dp);
//   plan.share.count;                    // sequences of this replica
//   plan.unit;                           // sequences that a layer is given at once
//   plan.units_per_micro_batch;          // of them in a micro-batch of the schedule
//
// Products round differently for other numbers of rows, so in reproducible mode the unit of all
// work is the logical micro-batch (logical_unit() sequences), and a micro-batch runs several
// of them one after the other through a stage. A step's units lie in `num_groups` groups of equal
// size, dealt to the replicas in order; gradients and losses are summed inside a group in order and
// over the groups as a fixed binary tree (model/gradient_groups.hpp, gradient_reducer.hpp). So
// nothing that a rank adds up depends on dp, pp, the schedule, the micro-batch, ZeRO-1 or overlap.
//
// Without it a unit is a micro-batch, and every replica is a group. Pure.
#pragma once

#include "concordat/model/gradient_groups.hpp"
#include "concordat/train/micro_batches.hpp"
#include "concordat/train/settings.hpp"

namespace concordat::train {

struct StepPlan {
  Share share{};          ///< of the step's sequences
  std::int64_t unit = 1;  ///< sequences; the last unit of a share may be smaller
  int units_per_micro_batch = 1;
  int num_groups = 1;   ///< of all replicas
  int first_group = 0;  ///< of this one's
  model::GradientGroups groups{};
};

/// @pre the settings are valid for the mesh, and 0 <= replica < mesh.dp.
StepPlan plan_step(const TrainSettings& settings, const parallel::MeshShape& mesh, int replica);

/// Sequences of a logical micro-batch in reproducible mode: train.logical_batch or, where that is
/// 0, the greatest power of two that holds at most 512 tokens and divides each group's share of the
/// batch; at least 1. It follows from inner.length, train.batch and train.logical_groups alone, so
/// it is the same at every layout and micro-batch.
std::int64_t logical_unit(const TrainSettings& settings);

/// Groups of a step in reproducible mode: train.logical_groups or, where that is 0, the greatest
/// power of two up to 4 that divides the logical micro-batches of the step.
std::int64_t num_logical_groups(const TrainSettings& settings);

/// @throws Error(train.bad_settings) with key, value and remedy where train.reproducible cannot be
/// honoured on this mesh, or where its settings are given without it.
void validate_reproducible(const TrainSettings& settings, const parallel::MeshShape& mesh);

}  // namespace concordat::train
