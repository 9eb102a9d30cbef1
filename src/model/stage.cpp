#include "concordat/model/stage.hpp"

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/model/names.hpp"
#include "concordat/model/ring_attention.hpp"

namespace concordat::model {

namespace {
std::vector<parallel::ParameterSpec> checked_specs(const ModelConfig& config,
                                                   const parallel::ProcessMesh& mesh,
                                                   const PipelineSplit& split,
                                                   bool sequence_parallel) {
  auto specs = declare_parameters(config, split);
  check_layout(config, mesh.shape(), split.chunks);
  for (auto& spec : specs) {
    // What tp does not shard sees only this rank's rows.
    if (sequence_parallel && !spec.shard_axis) spec.gradient_summed_over.tp = true;
  }
  return specs;
}

VocabShard shard_of_vocabulary(const std::vector<parallel::ParameterSpec>& specs,
                               const parallel::ProcessMesh& mesh) {
  const auto range = parallel::shard_range(specs.front(), mesh.shape().tp, mesh.coords().tp);
  return {.begin = range.begin, .valid = range.count};
}
}  // namespace

Stage::Stage(const ModelConfig& config, device::Exec& exec, parallel::ProcessMesh& mesh,
             const StageSettings& settings)
    : config_(config),
      exec_(exec),
      mesh_(mesh),
      split_{.stages = mesh.shape().pp, .chunks = settings.chunks},
      groups_(settings.parameters.groups),
      specs_(checked_specs(config, mesh, split_, settings.sequence_parallel)),
      parameters_(exec, specs_, mesh, settings.parameters),
      pool_([&backend = exec.backend](Dtype dtype, const Shape& shape) {
        return backend.allocate(dtype, shape);
      }),
      shard_(shard_of_vocabulary(specs_, mesh)),
      sequence_parallel_(settings.sequence_parallel && mesh.shape().tp > 1),
      messages_(mesh.shape().cp > 1 ? exec.backend.make_message_stream() : nullptr),
      loss_sums_(exec.backend.allocate(Dtype::f64, {groups_.count()})),
      gradient_scale_(exec.backend.allocate(Dtype::f32, {})) {
  if (mesh.shape().cp > 1) open_ring_channels(mesh);
  for (int chunk = 0; chunk < split_.chunks; ++chunk) {
    parts_.push_back(make_part(Chunk(chunk), settings));
  }
}

Stage::Part Stage::make_part(Chunk chunk, const StageSettings& settings) {
  const int stage = mesh_.coords().pp;
  Part part;
  if (split_.is_first(stage, chunk)) {
    const Names& names = names_of(config_.family);
    Embedding::Tables tables{.tokens = parameters_.weight({weight_of(names.tokens)})};
    if (config_.traits().learned_positions) {
      tables.positions = &parameters_.weight({weight_of(names.positions)});
    }
    part.embedding = std::make_unique<Embedding>(tables, shard_, slots_, "embedding");
  }
  const LayerRange range = layers_of_part(config_.layers, split_, split_.part_of(stage, chunk));
  for (int layer = range.begin; layer < range.end; ++layer) {
    part.blocks.push_back(std::make_unique<Block>(config_, layer, mesh_.shape().tp, parameters_,
                                                  slots_, settings.recompute));
  }
  if (split_.is_last(stage, chunk)) {
    part.head =
        std::make_unique<Head>(config_, parameters_, shard_, settings.loss_chunk_rows, slots_);
  }
  return part;
}

const Stage::Part& Stage::part(Chunk chunk) const {
  CONCORDAT_REQUIRE(chunk.value() >= 0 && chunk.value() < split_.chunks,
                    "chunk " + std::to_string(chunk.value()));
  return parts_[static_cast<std::size_t>(chunk.value())];
}

void Stage::open_step(double gradient_scale) {
  CONCORDAT_REQUIRE(flying_.empty(), std::to_string(flying_.size()) + " micro-batches in flight");
  parameters_.open_gradients();
  device::fill(exec_, loss_sums_, 0.0);
  device::fill(exec_, gradient_scale_, gradient_scale);
  next_weight_.assign(parts_.size(), 0);
}

GroupPlace Stage::place_of(MicroBatch index, Chunk chunk) {
  if (!groups_.grouped()) return {};
  int& next = next_weight_[static_cast<std::size_t>(chunk.value())];
  CONCORDAT_REQUIRE(index.value() == next, "micro-batch " + std::to_string(index.value()) +
                                               " instead of " + std::to_string(next));
  ++next;
  return groups_.place(index.value());
}

GroupPlace Stage::next_place(MicroBatch index) const {
  if (groups_.grouped()) return groups_.place(index.value());
  return {.opens = parameters_.untouched()};
}

void Stage::replayed(MicroBatch index) {
  CONCORDAT_REQUIRE(is_first() && is_last() && flying_.empty(), "a replay of a part of the model");
  place_of(index, Chunk(0));
  parameters_.touch();
}

void Stage::open_validation() { device::fill(exec_, loss_sums_, 0.0); }

Tensor Stage::boundary(const TokenLayout& layout) {
  const std::int64_t parts = shards_rows(layout) ? mesh_.shape().tp : 1;
  return pool_.take(Dtype::f32, {layout.rows() / parts, config_.width});
}

bool Stage::shards_rows(const TokenLayout& layout) const {
  return sequence_parallel_ && layout.rows() % mesh_.shape().tp == 0;
}

Pass Stage::pass(SavedTable& saved, const MicroBatchTensors& batch) {
  return {.exec = exec_,
          .mesh = mesh_,
          .pool = pool_,
          .saved = saved,
          .batch = batch,
          .rows_sharded = shards_rows(batch.layout),
          .messages = messages_.get()};
}

Stage::InFlight& Stage::in_flight(MicroBatch index, Chunk chunk) {
  const auto at = flying_.find({chunk, index});
  CONCORDAT_REQUIRE(at != flying_.end(), "micro-batch " + std::to_string(index.value()) +
                                             " in chunk " + std::to_string(chunk.value()));
  return at->second;
}

Tensor Stage::body(const Part& part, Pass& pass, const Tensor& x) {
  CONCORDAT_REQUIRE(x.empty() == (part.embedding != nullptr),
                    "the model's start has no input, the other parts need one");
  Tensor y = part.embedding ? part.embedding->forward(pass, x) : x;
  for (const auto& block : part.blocks) y = block->forward(pass, y);
  return y;
}

Tensor Stage::forward(MicroBatch index, const MicroBatchTensors& batch, const Tensor& x,
                      Chunk chunk) {
  const Part& here = part(chunk);
  CONCORDAT_REQUIRE(shards_rows(batch.layout) == sequence_parallel_,
                    std::to_string(batch.layout.rows()) + " rows over tp");
  const auto [at, fresh] = flying_.try_emplace({chunk, index}, InFlight{batch, SavedTable(slots_)});
  CONCORDAT_REQUIRE(fresh, "micro-batch " + std::to_string(index.value()) + " is in flight");
  Pass now = pass(at->second.saved, at->second.batch);
  Tensor y = body(here, now, x);
  if (!here.head) return y;
  here.head->forward_loss(now, y, loss_sum(groups_.place(index.value()).group), gradient_scale_);
  return {};
}

Tensor Stage::backward_input(MicroBatch index, const Tensor& grad_y, Chunk chunk) {
  const Part& here = part(chunk);
  CONCORDAT_REQUIRE(grad_y.empty() == (here.head != nullptr),
                    "the model's end makes its own gradient, the other parts need one");
  InFlight& flying = in_flight(index, chunk);
  Pass now = pass(flying.saved, flying.batch);
  Tensor grad = here.head ? here.head->backward_loss(now) : grad_y;
  for (auto block = here.blocks.rbegin(); block != here.blocks.rend(); ++block) {
    grad = (*block)->backward_input(now, grad);
  }
  return here.embedding ? here.embedding->backward_input(now, grad) : grad;
}

void Stage::backward_weight(MicroBatch index, bool last, Chunk chunk) {
  const Part& here = part(chunk);
  InFlight& flying = in_flight(index, chunk);
  Pass now = pass(flying.saved, flying.batch);
  now.last = last;
  now.place = place_of(index, chunk);
  if (here.head) here.head->backward_weight(now);
  for (auto block = here.blocks.rbegin(); block != here.blocks.rend(); ++block) {
    (*block)->backward_weight(now);
  }
  if (here.embedding) here.embedding->backward_weight(now);
  CONCORDAT_REQUIRE(flying.saved.empty(), "left over: " + flying.saved.listing());
  flying_.erase({chunk, index});
}

Tensor Stage::backward(MicroBatch index, const Tensor& grad_y, bool last, Chunk chunk) {
  const Part& here = part(chunk);
  CONCORDAT_REQUIRE(grad_y.empty() == (here.head != nullptr),
                    "the model's end makes its own gradient, the other parts need one");
  InFlight& flying = in_flight(index, chunk);
  Pass now = pass(flying.saved, flying.batch);
  now.last = last;
  now.place = place_of(index, chunk);
  Tensor grad = grad_y;
  if (here.head) {
    grad = here.head->backward_loss(now);
    here.head->backward_weight(now);
  }
  for (auto block = here.blocks.rbegin(); block != here.blocks.rend(); ++block) {
    grad = (*block)->backward_input(now, grad);
    (*block)->backward_weight(now);
  }
  if (here.embedding) {
    grad = here.embedding->backward_input(now, grad);
    here.embedding->backward_weight(now);
  }
  CONCORDAT_REQUIRE(flying.saved.empty(), "left over: " + flying.saved.listing());
  flying_.erase({chunk, index});
  return grad;
}

Tensor Stage::evaluate(const MicroBatchTensors& batch, const Tensor& x, Chunk chunk, int group) {
  const Part& here = part(chunk);
  SavedTable nothing(slots_);
  Pass now = pass(nothing, batch);
  now.keeps = false;
  Tensor y = body(here, now, x);
  if (!here.head) return y;
  here.head->forward_loss(now, y, loss_sum(group), gradient_scale_);
  return {};
}

Tensor Stage::logits(const MicroBatchTensors& batch, const Tensor& x, Chunk chunk) {
  const Part& here = part(chunk);
  SavedTable nothing(slots_);
  Pass now = pass(nothing, batch);
  now.keeps = false;
  Tensor y = body(here, now, x);
  return here.head ? here.head->logits(now, y) : y;
}

void Stage::abandon() { flying_.clear(); }

}  // namespace concordat::model
