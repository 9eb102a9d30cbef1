#include "concordat/model/stage.hpp"

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {
std::vector<parallel::ParameterSpec> checked_specs(const LlamaConfig& config,
                                                   const parallel::ProcessMesh& mesh) {
  auto specs = declare_parameters(config, mesh.shape().pp);
  check_layout(config, mesh.shape());
  return specs;
}

VocabShard shard_of_vocabulary(const std::vector<parallel::ParameterSpec>& specs,
                               const parallel::ProcessMesh& mesh) {
  const auto range = parallel::shard_range(specs.front(), mesh.shape().tp, mesh.coords().tp);
  return {.begin = range.begin, .valid = range.count};
}
}  // namespace

Stage::Stage(const LlamaConfig& config, device::Exec& exec, parallel::ProcessMesh& mesh,
             const StageSettings& settings)
    : config_(config),
      exec_(exec),
      mesh_(mesh),
      specs_(checked_specs(config, mesh)),
      parameters_(exec, specs_, mesh, settings.parameters),
      pool_([&backend = exec.backend](Dtype dtype, const Shape& shape) {
        return backend.allocate(dtype, shape);
      }),
      shard_(shard_of_vocabulary(specs_, mesh)),
      loss_sum_(exec.backend.allocate(Dtype::f64, {})),
      gradient_scale_(exec.backend.allocate(Dtype::f32, {})) {
  const int stage = mesh.coords().pp;
  const int stages = mesh.shape().pp;
  if (stage == 0) {
    embedding_ = std::make_unique<Embedding>(parameters_.weight({std::string(names::embed_tokens)}),
                                             shard_, slots_, "embed_tokens");
  }
  const LayerRange range = layers_of_stage(config.layers, stages, stage);
  for (int layer = range.begin; layer < range.end; ++layer) {
    blocks_.push_back(std::make_unique<Block>(config, layer, mesh.shape().tp, parameters_, slots_));
  }
  if (stage == stages - 1) {
    head_ = std::make_unique<Head>(config, parameters_, shard_, settings.loss_chunk_rows, slots_);
  }
}

void Stage::open_step(double gradient_scale) {
  CONCORDAT_REQUIRE(flying_.empty(), std::to_string(flying_.size()) + " micro-batches in flight");
  parameters_.zero_gradients(exec_);
  device::fill(exec_, loss_sum_, 0.0);
  device::fill(exec_, gradient_scale_, gradient_scale);
}

void Stage::open_validation() { device::fill(exec_, loss_sum_, 0.0); }

Tensor Stage::boundary(const TokenLayout& layout) {
  return pool_.take(Dtype::f32, {layout.rows(), config_.width});
}

Pass Stage::pass(SavedTable& saved, const MicroBatchTensors& batch) {
  return {.exec = exec_, .mesh = mesh_, .pool = pool_, .saved = saved, .batch = batch};
}

Stage::InFlight& Stage::in_flight(MicroBatch index) {
  const auto at = flying_.find(index);
  CONCORDAT_REQUIRE(at != flying_.end(), "micro-batch " + std::to_string(index.value()));
  return at->second;
}

Tensor Stage::body(Pass& pass, const Tensor& x) {
  CONCORDAT_REQUIRE(x.empty() == is_first(), "the first stage has no input, the others need one");
  Tensor y = is_first() ? embedding_->forward(pass, x) : x;
  for (auto& block : blocks_) y = block->forward(pass, y);
  return y;
}

Tensor Stage::forward(MicroBatch index, const MicroBatchTensors& batch, const Tensor& x) {
  const auto [at, fresh] = flying_.try_emplace(index, InFlight{batch, SavedTable(slots_)});
  CONCORDAT_REQUIRE(fresh, "micro-batch " + std::to_string(index.value()) + " is in flight");
  Pass now = pass(at->second.saved, at->second.batch);
  Tensor y = body(now, x);
  if (!is_last()) return y;
  head_->forward_loss(now, y, loss_sum_);
  return {};
}

Tensor Stage::backward_input(MicroBatch index, const Tensor& grad_y) {
  CONCORDAT_REQUIRE(grad_y.empty() == is_last(), "the last stage makes its own gradient");
  InFlight& flying = in_flight(index);
  Pass now = pass(flying.saved, flying.batch);
  Tensor grad = is_last() ? head_->backward_loss(now, gradient_scale_) : grad_y;
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    grad = (*block)->backward_input(now, grad);
  }
  return is_first() ? embedding_->backward_input(now, grad) : grad;
}

void Stage::backward_weight(MicroBatch index, bool last) {
  InFlight& flying = in_flight(index);
  Pass now = pass(flying.saved, flying.batch);
  now.last = last;
  if (is_last()) head_->backward_weight(now);
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    (*block)->backward_weight(now);
  }
  if (is_first()) embedding_->backward_weight(now);
  CONCORDAT_REQUIRE(flying.saved.empty(), "left over: " + flying.saved.listing());
  flying_.erase(index);
}

Tensor Stage::evaluate(const MicroBatchTensors& batch, const Tensor& x) {
  SavedTable nothing(slots_);
  Pass now = pass(nothing, batch);
  now.keeps = false;
  Tensor y = body(now, x);
  if (!is_last()) return y;
  head_->forward_loss(now, y, loss_sum_);
  return {};
}

Tensor Stage::logits(const MicroBatchTensors& batch, const Tensor& x) {
  SavedTable nothing(slots_);
  Pass now = pass(nothing, batch);
  now.keeps = false;
  Tensor y = body(now, x);
  return is_last() ? head_->logits(now, y) : y;
}

void Stage::abandon() { flying_.clear(); }

}  // namespace concordat::model
