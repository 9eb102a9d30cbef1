#include "concordat/device/ops/embedding.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void embedding_forward(Exec& exec, const Tensor& x, const Tensor& tokens, const Tensor& table,
                       std::int64_t vocab_begin, Write write) {
  Dtype dtype = compute_dtype(exec, x);
  require_rows("x", x, tokens.size(), table.dim(1), dtype);
  require_vector("tokens", tokens, x.dim(0), Dtype::i32);
  const bool narrow = table.dtype() == Dtype::bf16 || table.dtype() == Dtype::f16;
  require_rows("table", table, table.dim(0), x.dim(1), narrow ? table.dtype() : dtype);
  launch(exec, &Kernels::embedding_forward, x, tokens, table, vocab_begin, write);
}

void embedding_backward(Exec& exec, const Tensor& grad_table, const Tensor& grad_x,
                        const Tensor& tokens, std::int64_t vocab_begin) {
  Dtype dtype = compute_dtype(exec, grad_table);
  require_rows("grad_x", grad_x, tokens.size(), grad_table.dim(1), dtype);
  require_vector("tokens", tokens, grad_x.dim(0), Dtype::i32);
  require_rows("grad_table", grad_table, grad_table.dim(0), grad_x.dim(1), dtype);
  launch(exec, &Kernels::embedding_backward, grad_table, grad_x, tokens, vocab_begin);
}

}  // namespace concordat::device
