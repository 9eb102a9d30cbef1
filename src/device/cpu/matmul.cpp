#include "device/cpu/cpu_kernels.hpp"
#include "device/cpu/parallel_rows.hpp"
#include "device/cpu/vector_kernels.hpp"

namespace concordat::device {

std::size_t CpuKernels::matmul_scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                                             const MatmulOptions& options, bool is_weight) {
  MatmulOptions planned = options;
  // A residual without beta is written first and added to, which the product does for nothing.
  if (!options.residual.empty() && options.beta == 0.0F) planned.beta = 1.0F;
  return products_.scratch_bytes(c, a, b, planned, is_weight);
}

void CpuKernels::matmul(const Tensor& c, const Tensor& a, const Tensor& b,
                        const MatmulOptions& options, const std::uint64_t& weight_version,
                        const Tensor& scratch) {
  if (c.size() == 0) return;
  if (a.size() > 0 && a.dtype() == Dtype::bf16 && Products::uses_tiles()) {
    products_.run(c, a, b, options, weight_version, scratch);
    return;
  }
  const VectorKernels& vector = vector_kernels();
  MatmulOptions planned = options;
  bool add_residual = !options.residual.empty();
  if (add_residual && options.beta == 0.0F) {
    copy(c, options.residual);
    planned.beta = 1.0F;
    add_residual = false;
  }
  if (a.size() == 0) {  // depth 0: an empty product
    if (planned.beta == 0.0F) {
      fill(c, 0.0);
    } else if (planned.beta != 1.0F) {
      for (std::int64_t i = 0; i < c.dim(0); ++i) {
        vector.scale(matrix<float>(c).row(i), planned.beta, c.dim(1));
      }
    }
  } else {
    products_.run(c, a, b, planned, weight_version, scratch);
  }
  if (!options.bias.empty()) {
    auto out = matrix<float>(c);
    const float* bias = options.bias.raw<float>();
    parallel_rows(out.rows, out.cols, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        vector.add(out.row(i), out.row(i), bias, out.cols);
      }
    });
  }
  if (add_residual) add(c, c, options.residual);
}

}  // namespace concordat::device
