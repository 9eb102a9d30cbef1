#include "concordat/model/embedding.hpp"

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/embedding.hpp"
#include "concordat/model/collective_ops.hpp"
#include "concordat/model/shared_rows.hpp"

namespace concordat::model {

Embedding::Embedding(const Tables& tables, VocabShard shard, SlotNames& slots,
                     const std::string& name)
    : tables_(tables),
      shard_(shard),
      grad_y_(slots.reserve(name + ".grad_y")),
      grad_rows_(slots.reserve(name + ".grad_rows")) {}

Tensor Embedding::kept_positions(Pass& pass) {
  const Tensor& positions = pass.batch.positions;
  if (!pass.rows_sharded) return positions;
  const std::int64_t rows = positions.dim(0) / pass.mesh.shape().tp;
  return positions.slice(0, rows * index_on(pass.mesh, Axis::tp), rows);
}

Tensor Embedding::forward(Pass& pass, const Tensor& /*x*/) {
  const Tensor& table = tables_.tokens.compute.value();
  Tensor y = pass.take(pass.batch.layout.rows(), table.dim(1));
  device::embedding_forward(pass.exec, y, pass.batch.tokens, table, shard_.begin);
  y = summed_rows(pass, y);
  if (tables_.positions == nullptr) return y;
  const Tensor& positions = tables_.positions->compute.value();
  const std::int64_t length = pass.batch.layout.length.value() * pass.mesh.shape().cp;
  CONCORDAT_REQUIRE(length <= positions.dim(0),
                    std::to_string(length) + " positions of " + std::to_string(positions.dim(0)));
  device::embedding_forward(pass.exec, y, kept_positions(pass), positions, 0,
                            device::Write::accumulate);
  return y;
}

Tensor Embedding::backward_input(Pass& pass, const Tensor& grad_y) {
  pass.save(grad_y_, whole_rows(pass, grad_y), 1);
  if (tables_.positions != nullptr) pass.save(grad_rows_, grad_y, 1);
  return {};
}

void Embedding::backward_weight(Pass& pass) {
  // A tied table has the head's share already, which covers all of it.
  device::embedding_backward(pass.exec, tables_.tokens.sum(pass.exec, pass.place),
                             pass.saved.use(grad_y_), pass.batch.tokens, shard_.begin);
  tables_.tokens.added(pass.place, pass.last);
  if (tables_.positions == nullptr) return;
  device::embedding_backward(pass.exec, tables_.positions->sum(pass.exec, pass.place),
                             pass.saved.use(grad_rows_), kept_positions(pass));
  tables_.positions->added(pass.place, pass.last);
}

}  // namespace concordat::model
