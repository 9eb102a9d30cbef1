// Stage: the parts of a model that one pipeline rank computes, and its micro-batches in flight.
//
//   Stage stage(config, exec, mesh, {});
//   stage.open_step(1.0 / targets_of_the_step);
//   Tensor y = stage.forward(MicroBatch(0), batch, x);            // x empty for the model's start
//   Tensor grad_x = stage.backward_input(MicroBatch(0), grad_y);  // grad_y empty for its end
//   stage.backward_weight(MicroBatch(0), /*last=*/true);
//   read_back<double>(exec, stage.loss_sum());                    // 0-d f64, nats; last stage
//
// With settings.chunks = v a stage holds v parts of the model that lie pp apart (PipelineSplit)
// over one ParameterSet; every call names the chunk it is for. The embedding is in the first
// stage's first chunk, the head in the last one's last. Activations between parts are [rows, width]
// f32. What a micro-batch saves in a chunk lives in a table of its own until its backward_weight
// there. After the first step nothing is allocated. Threads: one host thread, and with cp > 1 one
// more that waits for messages. Collective over tp and cp.
//
// With settings.sequence_parallel the rows between layers are shared out over tp (shared_rows.hpp):
// norms' gradients are then parts of sums over tp, which their specs say (gradient_summed_over),
// and whoever combines gradients sums them. So does a tied table's over the first and last stage.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "concordat/core/ids.hpp"
#include "concordat/model/block.hpp"
#include "concordat/model/declaration.hpp"
#include "concordat/model/embedding.hpp"
#include "concordat/model/head.hpp"

namespace concordat::model {

struct StageSettings {
  /// With parameters.groups each group's gradients and losses are summed by themselves.
  ParameterSettings parameters{};
  std::int64_t loss_chunk_rows = 512;  ///< rows of logits that exist at a time
  int chunks = 1;                      ///< parts of the model on each stage
  Recompute recompute = Recompute::none;
  /// Activations between layers, and between stages, are each tp rank's part of the rows.
  bool sequence_parallel = false;
};

class Stage {
 public:
  /// `exec` and `mesh` must outlive the stage. Weights are undefined until the compute copy is set.
  /// @throws Error(model.bad_config | model.bad_layout).
  Stage(const ModelConfig& config, device::Exec& exec, parallel::ProcessMesh& mesh,
        const StageSettings& settings = {});
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const ModelConfig& config() const { return config_; }
  const PipelineSplit& split() const { return split_; }
  /// Whether the chunk starts with the embedding, or ends with the head.
  bool is_first(Chunk chunk = {}) const { return part(chunk).embedding != nullptr; }
  bool is_last(Chunk chunk = {}) const { return part(chunk).head != nullptr; }
  ParameterSet& parameters() { return parameters_; }
  const ParameterSet& parameters() const { return parameters_; }
  const std::vector<parallel::ParameterSpec>& specs() const { return specs_; }
  VocabShard vocab_shard() const { return shard_; }

  /// Zeroes gradients and loss. Each target's gradient is scaled by `gradient_scale` (1 / targets
  /// of the whole step), so that sums over micro-batches and replicas are means.
  void open_step(double gradient_scale);
  /// Zeroes the loss alone: before validation.
  void open_validation();

  /// A tensor for what comes from, or goes to, the neighbour: [rows, width], or this rank's part of
  /// the rows.
  Tensor boundary(const TokenLayout& layout);

  /// Output for the next part; empty from the last, where the micro-batch's loss is added to that
  /// of its group. `batch` is kept until backward_weight. @pre under sequence parallelism tp
  /// divides the rows (evaluate() and logits() take any and then do without it).
  Tensor forward(MicroBatch index, const MicroBatchTensors& batch, const Tensor& x,
                 Chunk chunk = {});
  /// Gradient for the previous part; empty from the first.
  Tensor backward_input(MicroBatch index, const Tensor& grad_y, Chunk chunk = {});
  /// `last`: this completes the chunk's gradients of the step; buckets become ready as it goes.
  /// @pre with groups: a chunk's micro-batches come in their order, as in every schedule.
  void backward_weight(MicroBatch index, bool last, Chunk chunk = {});
  /// Both, layer by layer: the same bits, and a layer's activations go before the next layer's
  /// gradients come.
  Tensor backward(MicroBatch index, const Tensor& grad_y, bool last, Chunk chunk = {});

  /// Which gradients the next backward writes, and how: with `opens` it sets them. Work on batches
  /// of one layout with one place is the same device work. @pre one chunk.
  GroupPlace next_place(MicroBatch index) const;
  /// Leaves the host's side as forward() and backward() of the micro-batch do, with last = false,
  /// where their device work was replayed. @pre one chunk; it is both the model's start and end.
  void replayed(MicroBatch index);

  /// Forward without a backward: the output for the next part; the last adds to the group's loss.
  Tensor evaluate(const MicroBatchTensors& batch, const Tensor& x, Chunk chunk = {}, int group = 0);
  /// The same, but the last part returns logits [rows, this rank's ids] and leaves the loss alone.
  Tensor logits(const MicroBatchTensors& batch, const Tensor& x, Chunk chunk = {});

  /// [groups of this rank] f64: sums of the losses of the targets seen since open_step() or
  /// open_validation(), in nats. Without groups one sum.
  const Tensor& loss_sums() const { return loss_sums_; }
  /// One of them, 0-d.
  Tensor loss_sum(int group = 0) const { return loss_sums_.slice(0, group, 1).reshape({}); }
  /// After an error in the middle of a step: forgets all micro-batches.
  void abandon();
  const BufferPool& pool() const { return pool_; }

 private:
  struct Part {
    std::unique_ptr<Embedding> embedding;
    std::vector<std::unique_ptr<Block>> blocks;
    std::unique_ptr<Head> head;
  };
  struct InFlight {
    MicroBatchTensors batch;
    SavedTable saved;
  };
  Part make_part(Chunk chunk, const StageSettings& settings);
  const Part& part(Chunk chunk) const;
  Pass pass(SavedTable& saved, const MicroBatchTensors& batch);
  bool shards_rows(const TokenLayout& layout) const;
  GroupPlace place_of(MicroBatch index, Chunk chunk);
  InFlight& in_flight(MicroBatch index, Chunk chunk);
  static Tensor body(const Part& part, Pass& pass, const Tensor& x);

  ModelConfig config_;
  device::Exec& exec_;
  parallel::ProcessMesh& mesh_;
  PipelineSplit split_;
  GradientGroups groups_;
  std::vector<parallel::ParameterSpec> specs_;
  ParameterSet parameters_;
  BufferPool pool_;
  SlotNames slots_;
  VocabShard shard_;
  std::vector<Part> parts_;  // by chunk
  std::map<std::pair<Chunk, MicroBatch>, InFlight> flying_;
  std::vector<int> next_weight_;  // by chunk: the micro-batch whose gradients come next
  bool sequence_parallel_;
  std::unique_ptr<Stream> messages_;
  Tensor loss_sums_;
  Tensor gradient_scale_;
};

}  // namespace concordat::model
