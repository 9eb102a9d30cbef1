#include "concordat/device/ops/cross_entropy.hpp"

#include "device/launch.hpp"

namespace concordat::device {
namespace {

void require_logits(const Tensor& logits, std::int64_t rows, const VocabShard& shard, Dtype dtype) {
  require_rows("logits", logits, rows, logits.dim(-1), dtype);
  CONCORDAT_REQUIRE(shard.begin >= 0 && shard.valid >= 0 && shard.valid <= logits.dim(1),
                    "valid " + std::to_string(shard.valid) + " of " + describe("logits", logits));
}

}  // namespace

void cross_entropy_max(Exec& exec, const Tensor& row_max, const Tensor& logits,
                       const VocabShard& shard) {
  Dtype dtype = compute_dtype(exec, row_max);
  require_vector("row_max", row_max, logits.dim(0), dtype);
  require_logits(logits, row_max.size(), shard, dtype);
  launch(exec, &Kernels::cross_entropy_max, row_max, logits, shard);
}

void cross_entropy_sum(Exec& exec, const Tensor& row_sum, const Tensor& target_logit,
                       const Tensor& logits, const Tensor& row_max, const Tensor& targets,
                       const VocabShard& shard) {
  Dtype dtype = compute_dtype(exec, row_sum);
  for (const Tensor* t : {&row_sum, &target_logit, &row_max}) {
    require_vector("row_sum, target_logit, row_max", *t, logits.dim(0), dtype);
  }
  require_vector("targets", targets, logits.dim(0), Dtype::i32);
  require_logits(logits, row_sum.size(), shard, dtype);
  launch(exec, &Kernels::cross_entropy_sum, row_sum, target_logit, logits, row_max, targets, shard);
}

void cross_entropy_loss(Exec& exec, const Tensor& loss, const Tensor& row_max,
                        const Tensor& row_sum, const Tensor& target_logit, const Tensor& targets) {
  Dtype dtype = compute_dtype(exec, loss);
  for (const Tensor* t : {&loss, &row_max, &row_sum, &target_logit}) {
    require_vector("loss, row_max, row_sum, target_logit", *t, targets.size(), dtype);
  }
  require_vector("targets", targets, loss.size(), Dtype::i32);
  launch(exec, &Kernels::cross_entropy_loss, loss, row_max, row_sum, target_logit, targets);
}

void cross_entropy_gradient(Exec& exec, const Tensor& grad_logits, const Tensor& logits,
                            const Tensor& row_max, const Tensor& row_sum, const Tensor& targets,
                            const Tensor& scale, const VocabShard& shard) {
  ArenaScope scope(exec.arena);
  const NarrowOutput to(exec, grad_logits);
  Dtype dtype = compute_dtype(exec, row_max);
  require_logits(logits, logits.dim(0), shard, dtype);
  require_rows("grad_logits", grad_logits, logits.dim(0), logits.dim(1),
               to.narrow() ? grad_logits.dtype() : dtype);
  require_vector("row_max", row_max, logits.dim(0), dtype);
  require_vector("row_sum", row_sum, logits.dim(0), dtype);
  require_vector("targets", targets, logits.dim(0), Dtype::i32);
  require_scalar("scale", scale, dtype);
  launch(exec, &Kernels::cross_entropy_gradient, to.tensor(), logits, row_max, row_sum, targets,
         scale, shard);
  to.finish();
}

}  // namespace concordat::device
