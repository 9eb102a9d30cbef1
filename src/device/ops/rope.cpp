#include "concordat/device/ops/rope.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void rope(Exec& exec, const Tensor& out, const Tensor& x, const Tensor& positions,
          const RopeOptions& options) {
  Dtype dtype = compute_dtype(exec, out);
  require_rows("out", out, out.dim(0), out.dim(1), dtype);
  require_rows("x", x, out.dim(0), out.dim(1), dtype);
  require_vector("positions", positions, out.dim(0), Dtype::i32);
  CONCORDAT_REQUIRE(options.head_dim > 0 && options.head_dim % 2 == 0 &&
                        out.dim(1) % options.head_dim == 0 && options.base > 0,
                    "head_dim " + std::to_string(options.head_dim) + ", " + describe("out", out));
  launch(exec, &Kernels::rope, out, x, positions, options);
}

}  // namespace concordat::device
