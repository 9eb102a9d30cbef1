#include "concordat/model/head.hpp"

#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/model/collective_ops.hpp"
#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {
/// Numbers that go through the loss at a time: 4 MiB.
constexpr std::int64_t cached_logits = std::int64_t{1} << 20;

/// Per row, [3, rows]: maximum, sum of exponentials, target logit.
struct Statistics {
  Tensor max, sum, target;
};
Statistics split(const Tensor& statistics) {
  const auto line = [&](std::int64_t i) {
    return statistics.slice(0, i, 1).reshape({statistics.dim(1)});
  };
  return {line(0), line(1), line(2)};
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
      grad_logits_(slots.reserve("head.grad_logits")) {
  norm_.feeds(projection_.format());
}

Tensor Head::logits(Pass& pass, const Tensor& x) {
  return projection_.forward(pass, norm_.forward(pass, x));
}

// A chunk's logits become its gradient before the next chunk is made, so all rows' logits exist
// only as what the products of the backward read. The weight of the loss is known beforehand.
void Head::forward_loss(Pass& pass, const Tensor& x, const Tensor& loss_sum,
                        const Tensor& gradient_scale) {
  const Tensor operand = projection_.operand_of(pass, norm_.forward(pass, x));
  const std::int64_t rows = operand.dim(0);
  const std::int64_t columns = projection_.num_outputs();
  const Dtype rounded = projection_.rounds_to(pass);
  // Rows begin at full cache lines, whatever the vocabulary.
  const std::int64_t padded = (columns + 31) / 32 * 32;
  Tensor grads;
  if (pass.keeps) grads = pass.take_operand(rounded, rows, padded).slice(1, 0, columns);
  const bool in_place = pass.keeps && rounded == Dtype::f32;
  Tensor buffer;
  if (!in_place) {
    buffer = pass.take(std::min(chunk_rows_, rows), padded).slice(1, 0, columns);
  }
  const Tensor statistics = pass.take(3, rows);
  const Statistics all = split(statistics);
  // Scores of the rows from `row` on.
  const auto to_loss = [&](const Tensor& scores, std::int64_t row) {
    const std::int64_t count = scores.dim(0);
    const Tensor targets = pass.batch.targets.slice(0, row, count);
    const Tensor top = all.max.slice(0, row, count);
    // Of these rows together, for one sum over tp.
    const Tensor pair = pass.take(2, count);
    const Tensor sum = pair.slice(0, 0, 1).reshape({count});
    const Tensor target = pair.slice(0, 1, 1).reshape({count});
    device::cross_entropy_max(pass.exec, top, scores, shard_);
    maximum_over_axis(pass.exec, pass.mesh, Axis::tp, top);
    device::cross_entropy_sum(pass.exec, sum, target, scores, top, targets, shard_);
    reduce_from_axis_forward(pass.exec, pass.mesh, Axis::tp, pair);
    device::copy(pass.exec, all.sum.slice(0, row, count), sum);
    device::copy(pass.exec, all.target.slice(0, row, count), target);
    if (!pass.keeps) return;
    device::cross_entropy_gradient(pass.exec, grads.slice(0, row, count), scores, top, sum, targets,
                                   gradient_scale, shard_);
  };
  // Few rows at a time go through the three ops, so that they stay in a cache; where a sum over tp
  // stands between the ops, as many as there are.
  const std::int64_t cached_rows = std::max<std::int64_t>(1, cached_logits / padded);
  in_chunks(rows, chunk_rows_, [&](std::int64_t row, std::int64_t count) {
    const Tensor scores = in_place ? grads.slice(0, row, count) : buffer.slice(0, 0, count);
    projection_.multiply(pass, scores, operand.slice(0, row, count));
    in_chunks(
        count, pass.mesh.shape().tp == 1 ? cached_rows : count,
        [&](std::int64_t at, std::int64_t some) { to_loss(scores.slice(0, at, some), row + at); });
  });
  const Tensor loss = pass.pool.take(Dtype::f32, {rows});
  device::cross_entropy_loss(pass.exec, loss, all.max, all.sum, all.target, pass.batch.targets);
  device::sum(pass.exec, loss_sum, loss, device::Write::accumulate);
  pass.save(grad_logits_, grads, 1);
}

Tensor Head::backward_loss(Pass& pass) {
  const Tensor grads = pass.saved.use(grad_logits_);
  return norm_.backward_input(pass, projection_.backward_input(pass, grads));
}

void Head::backward_weight(Pass& pass) {
  projection_.backward_weight(pass);
  norm_.backward_weight(pass);
}

}  // namespace concordat::model
