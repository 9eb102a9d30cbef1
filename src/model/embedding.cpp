#include "concordat/model/embedding.hpp"

#include "concordat/device/ops/embedding.hpp"
#include "concordat/model/shared_rows.hpp"

namespace concordat::model {

Embedding::Embedding(Weight& weight, VocabShard shard, SlotNames& slots, const std::string& name)
    : weight_(weight), shard_(shard), grad_y_(slots.reserve(name + ".grad_y")) {}

Tensor Embedding::forward(Pass& pass, const Tensor& /*x*/) {
  const Tensor& table = weight_.compute.value();
  Tensor y = pass.take(pass.batch.layout.rows(), table.dim(1));
  device::embedding_forward(pass.exec, y, pass.batch.tokens, table, shard_.begin);
  return summed_rows(pass, y);
}

Tensor Embedding::backward_input(Pass& pass, const Tensor& grad_y) {
  pass.save(grad_y_, whole_rows(pass, grad_y), 1);
  return {};
}

void Embedding::backward_weight(Pass& pass) {
  device::embedding_backward(pass.exec, weight_.gradient, pass.saved.use(grad_y_),
                             pass.batch.tokens, shard_.begin);
  if (pass.last) weight_.ready();
}

}  // namespace concordat::model
