#include "concordat/device/ops/column_sums.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void add_column_sums(Exec& exec, const Tensor& out, const Tensor& in) {
  const Dtype dtype = compute_dtype(exec, out);
  const bool narrow = in.dtype() == Dtype::bf16 || in.dtype() == Dtype::f16;
  require_rows("in", in, in.dim(0), out.size(), narrow ? in.dtype() : dtype);
  require_vector("out", out, in.dim(1), dtype);
  ArenaScope scope(exec.arena);
  Tensor scratch = take_scratch(
      exec, exec.backend.kernels(exec.stream).column_sums_scratch_bytes(in.dim(0), 2 * in.dim(1)));
  launch(exec, &Kernels::add_column_sums, out, in, scratch);
}

}  // namespace concordat::device
