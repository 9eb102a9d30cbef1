#include "concordat/train/unit_graphs.hpp"

#include "concordat/device/ops/elementwise.hpp"

namespace concordat::train {

UnitGraphs::Kind UnitGraphs::kind_of(const model::TokenLayout& layout,
                                     const model::GroupPlace& place) {
  return {.sequences = layout.sequences,
          .length = layout.length.value(),
          .group = place.group,
          .depth = place.depth,
          .folds = place.folds,
          .opens = place.opens};
}

void UnitGraphs::run(MicroBatch index, const model::MicroBatchTensors& batch, bool last) {
  if (last && !with_last_) return run_as_it_is(index, batch, true);
  const auto [at, first] = graphs_.try_emplace(kind_of(batch.layout, stage_.next_place(index)));
  if (first) {
    run_as_it_is(index, batch, false);
  } else {
    replay(at->second, index, batch);
  }
  if (last) stage_.parameters().close_gradients();
}

void UnitGraphs::run_as_it_is(MicroBatch index, const model::MicroBatchTensors& batch, bool last) {
  stage_.forward(index, batch, {});
  stage_.backward(index, {}, last);
}

void UnitGraphs::replay(std::unique_ptr<device::Graph>& graph, MicroBatch index,
                        const model::MicroBatchTensors& batch) {
  CONCORDAT_REQUIRE(stage_.pool().num_lent() == 0,
                    std::to_string(stage_.pool().num_lent()) + " activations that a replay writes");
  const model::MicroBatchTensors& inputs = inputs_like(batch);
  device::copy(exec_, inputs.tokens, batch.tokens);
  device::copy(exec_, inputs.targets, batch.targets);
  device::copy(exec_, inputs.positions, batch.positions);
  if (graph) {
    stage_.replayed(index);
  } else {
    graph = exec_.backend.capture(exec_.stream, [&] { run_as_it_is(index, inputs, false); });
    ++num_captured_;
  }
  graph->launch();
  ++num_launched_;
}

const model::MicroBatchTensors& UnitGraphs::inputs_like(const model::MicroBatchTensors& batch) {
  const auto [at, fresh] =
      inputs_.try_emplace({batch.layout.sequences, batch.layout.length.value()});
  model::MicroBatchTensors& inputs = at->second;
  if (fresh) {
    inputs.layout = batch.layout;
    const std::pair<Tensor*, const Tensor*> all[] = {{&inputs.tokens, &batch.tokens},
                                                     {&inputs.targets, &batch.targets},
                                                     {&inputs.positions, &batch.positions}};
    for (const auto& [mine, like] : all) {
      *mine = exec_.backend.allocate(like->dtype(), like->shape());
    }
  }
  return inputs;
}

}  // namespace concordat::train
