#include "concordat/model/head.hpp"

#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/model/collective_ops.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {
/// Per row, [3, rows]: maximum, sum of exponentials, target logit. The last two travel together.
struct Statistics {
  Tensor max, sum_and_target, sum, target;
};
Statistics split(const Tensor& statistics) {
  const std::int64_t rows = statistics.dim(1);
  const Tensor pair = statistics.slice(0, 1, 2);
  return {statistics.slice(0, 0, 1).reshape({rows}), pair, pair.slice(0, 0, 1).reshape({rows}),
          pair.slice(0, 1, 1).reshape({rows})};
}

/// Calls work(first_row, rows) over all rows.
template <typename Work>
void in_chunks(std::int64_t rows, std::int64_t chunk_rows, Work&& work) {
  for (std::int64_t row = 0; row < rows; row += chunk_rows) {
    work(row, std::min(chunk_rows, rows - row));
  }
}

/// The table of tokens or a matrix of its own. No family's head has a bias.
WeightAndBias output_weight(const ModelConfig& config, ParameterSet& parameters) {
  const Names& names = names_of(config.family);
  return parameters.weight({weight_of(config.tied ? names.tokens : names.head)});
}
}  // namespace

Head::Head(const ModelConfig& config, ParameterSet& parameters, VocabShard shard,
           std::int64_t chunk_rows, SlotNames& slots)
    : norm_(parameters.modules({std::string(names_of(config.family).final_norm)}), config.norm_eps,
            slots, "head.norm"),
      projection_(output_weight(config, parameters), Split::columns, slots, "head.projection"),
      shard_(shard),
      chunk_rows_(chunk_rows),
      logits_(slots.reserve("head.logits")),
      statistics_(slots.reserve("head.statistics")) {}

Tensor Head::logits(Pass& pass, const Tensor& x) {
  return projection_.forward(pass, norm_.forward(pass, x));
}

void Head::forward_loss(Pass& pass, const Tensor& x, const Tensor& loss_sum) {
  const Tensor scores = logits(pass, x);
  const std::int64_t rows = scores.dim(0);
  const Tensor statistics = pass.take(3, rows);
  const Statistics all = split(statistics);
  in_chunks(rows, chunk_rows_, [&](std::int64_t row, std::int64_t count) {
    device::cross_entropy_max(pass.exec, all.max.slice(0, row, count), scores.slice(0, row, count),
                              shard_);
  });
  maximum_over_axis(pass.exec, pass.mesh, Axis::tp, all.max);
  in_chunks(rows, chunk_rows_, [&](std::int64_t row, std::int64_t count) {
    device::cross_entropy_sum(pass.exec, all.sum.slice(0, row, count),
                              all.target.slice(0, row, count), scores.slice(0, row, count),
                              all.max.slice(0, row, count), pass.batch.targets.slice(0, row, count),
                              shard_);
  });
  reduce_from_axis_forward(pass.exec, pass.mesh, Axis::tp, all.sum_and_target);
  const Tensor loss = pass.pool.take(Dtype::f32, {rows});
  device::cross_entropy_loss(pass.exec, loss, all.max, all.sum, all.target, pass.batch.targets);
  device::sum(pass.exec, loss_sum, loss, device::Write::accumulate);
  pass.save(logits_, scores, 1);
  pass.save(statistics_, statistics, 1);
}

Tensor Head::backward_loss(Pass& pass, const Tensor& gradient_scale) {
  const Tensor scores = pass.saved.use(logits_);
  const Statistics all = split(pass.saved.use(statistics_));
  in_chunks(scores.dim(0), chunk_rows_, [&](std::int64_t row, std::int64_t count) {
    const Tensor part = scores.slice(0, row, count);
    device::cross_entropy_gradient(pass.exec, part, part, all.max.slice(0, row, count),
                                   all.sum.slice(0, row, count),
                                   pass.batch.targets.slice(0, row, count), gradient_scale, shard_);
  });
  return norm_.backward_input(pass, projection_.backward_input(pass, scores));
}

void Head::backward_weight(Pass& pass) {
  projection_.backward_weight(pass);
  norm_.backward_weight(pass);
}

}  // namespace concordat::model
