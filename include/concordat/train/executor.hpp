// Runs one stage's list of calls: the only place where a schedule meets tensors.
//
//   Schedule schedule = one_f_one_b(stages, batches.count());
//   execute(schedule.calls(Stage(pp)), stage, batches.all(), mesh, exec);
//
// Collective over the pipeline's ranks, each with its own list of the same schedule. Sends and
// receives are enqueued in the stage's stream, so the order of the list is the order of everything.
#pragma once

#include <vector>

#include "concordat/model/stage.hpp"
#include "concordat/train/schedule.hpp"

namespace concordat::train {

/// @pre the calls come from a checked schedule for batches.size() micro-batches.
void execute(const std::vector<Call>& calls, model::Stage& stage,
             const std::vector<model::MicroBatchTensors>& batches, parallel::ProcessMesh& mesh,
             device::Exec& exec);

/// Forward of one micro-batch through all stages, without a backward: adds to the last one's loss.
void evaluate(model::Stage& stage, const model::MicroBatchTensors& batch,
              parallel::ProcessMesh& mesh, device::Exec& exec);

}  // namespace concordat::train
