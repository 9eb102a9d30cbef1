#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {

void ReferenceKernels::matmul(const Tensor& c, const Tensor& a, const Tensor& b,
                              const MatmulOptions& options, const std::uint64_t&, const Tensor&) {
  by_dtype(c.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto out = matrix<T>(c);
    auto left = matrix<T>(a);
    auto right = matrix<T>(b);
    std::int64_t depth = options.transpose_a ? left.rows : left.cols;
    for (std::int64_t i = 0; i < out.rows; ++i) {
      for (std::int64_t j = 0; j < out.cols; ++j) {
        double total = 0.0;
        for (std::int64_t k = 0; k < depth; ++k) {
          double x = options.transpose_a ? left.row(k)[i] : left.row(i)[k];
          double y = options.transpose_b ? right.row(j)[k] : right.row(k)[j];
          total += x * y;
        }
        total *= double{options.alpha};
        if (options.beta != 0.0F) total += double{options.beta} * double{out.row(i)[j]};
        if (!options.bias.empty()) total += double{options.bias.raw<T>()[j]};
        if (!options.residual.empty()) total += double{matrix<T>(options.residual).row(i)[j]};
        out.row(i)[j] = static_cast<T>(total);
      }
    }
  });
}

}  // namespace concordat::device
