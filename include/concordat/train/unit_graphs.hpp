// UnitGraphs: forward and backward of a unit of the step (step_plan.hpp), recorded once for each
// kind of unit and replayed after that (device/graph.hpp).
//
//   UnitGraphs graphs(exec, stage, /*with_last=*/true);
//   graphs.run(MicroBatch(0), batches[0], /*last=*/false);   // for stage.forward(), .backward()
//
// The kind is all that the host decides of a unit's device work: its shape, which gradients it
// writes and whether it sets them or adds, and so also which sum of losses it adds to. Everything
// else lies in device memory: weights, what losses are scaled by, and tokens, targets and
// positions, which are copied to fixed tensors. The first unit of a kind runs as it is and makes
// what a capture must find: buffers, scratch, the products' algorithms. The second is recorded.
//
// Activations are the stage's buffers in recorded and other work alike: a BufferPool frees nothing,
// and on one stream, on a back end whose calls are immediate, a buffer that came back may be used
// by whatever comes next. So no tensor of the pool may be held from one call to the next (Bug).
//
// Threads: one host thread. The bits are those of the stage's own calls.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "concordat/model/stage.hpp"

namespace concordat::train {

class UnitGraphs {
 public:
  /// `exec`'s back end captures, and the stage is a whole model. Both outlive this. `with_last`:
  /// also the step's last unit is replayed, and its buckets become ready behind it; else its
  /// backward gives them out one by one.
  UnitGraphs(device::Exec& exec, model::Stage& stage, bool with_last)
      : exec_(exec), stage_(stage), with_last_(with_last) {}

  /// Forward and backward of the unit; after the step's last one all gradients are final.
  void run(MicroBatch index, const model::MicroBatchTensors& batch, bool last);

  std::int64_t num_captured() const { return num_captured_; }
  std::int64_t num_launched() const { return num_launched_; }

 private:
  struct Kind {
    std::int64_t sequences, length;
    int group, depth, folds;
    bool opens;
    auto operator<=>(const Kind&) const = default;
  };
  static Kind kind_of(const model::TokenLayout& layout, const model::GroupPlace& place);
  void run_as_it_is(MicroBatch index, const model::MicroBatchTensors& batch, bool last);
  void replay(std::unique_ptr<device::Graph>& graph, MicroBatch index,
              const model::MicroBatchTensors& batch);
  /// The tensors that graphs of this layout read.
  const model::MicroBatchTensors& inputs_like(const model::MicroBatchTensors& batch);

  device::Exec& exec_;
  model::Stage& stage_;
  bool with_last_;
  std::map<std::pair<std::int64_t, std::int64_t>, model::MicroBatchTensors> inputs_;
  std::map<Kind, std::unique_ptr<device::Graph>> graphs_;  // empty: ran once
  std::int64_t num_captured_ = 0;
  std::int64_t num_launched_ = 0;
};

}  // namespace concordat::train
