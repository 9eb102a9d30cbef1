// Runs one stage's list of calls: the only place where a schedule meets tensors.
//
//   Schedule schedule = schedule_named("1f1b", stages, batches.count());
//   check(schedule);
//   execute(schedule, stage, batches.all(), mesh, exec);
//
// Collective over the pipeline's ranks, each with its own list of the same schedule. Sends and
// receives are enqueued in the stage's stream, so the order of the list is the order of everything.
// What the calls do is a PipelineWork: the model's stage, or in tests a clock that only counts.
#pragma once

#include <memory>
#include <vector>

#include "concordat/model/stage.hpp"
#include "concordat/train/schedule.hpp"
#include "concordat/train/unit_graphs.hpp"

namespace concordat::train {

/// Which way a tensor travels: activations forward, gradients backward.
enum class Way { forward, backward };

/// The calls of one stage, done. An exception ends the execution.
class PipelineWork {
 public:
  virtual ~PipelineWork() = default;
  /// The input of the part, empty at the model's start, to its output, empty at the model's end.
  virtual Tensor forward(MicroBatch m, Chunk chunk, const Tensor& x) = 0;
  /// The gradient of the output, empty at the model's end, to that of the input, empty at its
  /// start.
  virtual Tensor backward_input(MicroBatch m, Chunk chunk, const Tensor& grad_y) = 0;
  /// `last`: the list has no later one of this chunk.
  virtual void backward_weight(MicroBatch m, Chunk chunk, bool last) = 0;
  /// Both, where nothing stands between them in the list.
  virtual Tensor backward(MicroBatch m, Chunk chunk, const Tensor& grad_y, bool last) {
    Tensor grad_x = backward_input(m, chunk, grad_y);
    backward_weight(m, chunk, last);
    return grad_x;
  }
  /// Forward and both, where nothing stands between the three and the part is the whole model.
  virtual void forward_backward(MicroBatch m, bool last) {
    forward(m, Chunk(0), {});
    backward(m, Chunk(0), {}, last);
  }
  /// Does not wait for the receiver; messages of one way to one stage arrive in order.
  virtual void send(const Tensor& tensor, Stage to, Way way) = 0;
  virtual Tensor receive(MicroBatch m, Stage from, Way way) = 0;
};

/// Performs the calls of `here`. Holds each tensor from the call that makes it to the one that uses
/// it, hands those over that stay on the stage, and drops them then.
/// @pre the schedule has passed check() (schedule_check.hpp).
void execute(const Schedule& schedule, Stage here, PipelineWork& work);

/// What a stage computes in a step: units, and how many of them make one of the schedule's
/// micro-batches (step_plan.hpp). They go one by one through the stage's part, and their
/// activations as one tensor to the next stage.
struct StepUnits {
  const std::vector<model::MicroBatchTensors>& batches;
  int per_micro_batch = 1;
  UnitGraphs* graphs = nullptr;  ///< runs the units of a whole model, where it is given
};

/// The calls on a stage of the model, messages over the mesh's pp axis. Collective over it.
/// Everything given must outlive it. For those who wrap a clock around it; others call the next
/// function.
std::unique_ptr<PipelineWork> model_work(model::Stage& stage, const StepUnits& units,
                                         parallel::ProcessMesh& mesh, device::Exec& exec);

/// execute() on a stage of the model. @pre the schedule's micro-batches take all units, and the
/// stage is split as the schedule is.
void execute(const Schedule& schedule, model::Stage& stage, const StepUnits& units,
             parallel::ProcessMesh& mesh, device::Exec& exec);

/// Forward of one unit through all parts, without a backward: adds to the last one's loss of the
/// group.
void evaluate(model::Stage& stage, const model::MicroBatchTensors& batch,
              parallel::ProcessMesh& mesh, device::Exec& exec, int group = 0);

}  // namespace concordat::train
