// LayerNorm, GELU and column sums.
#include <cmath>

#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {

void ReferenceKernels::layer_norm_forward(const Tensor& y, const Tensor& statistics,
                                          const Tensor& x, const Tensor& weight, const Tensor& bias,
                                          const float& eps) {
  by_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto out = matrix<T>(y);
    auto in = matrix<T>(x);
    const auto width = static_cast<double>(in.cols);
    for (std::int64_t t = 0; t < in.rows; ++t) {
      double mean = 0.0;
      for (std::int64_t c = 0; c < in.cols; ++c) mean += double{in.row(t)[c]};
      mean /= width;
      double variance = 0.0;
      for (std::int64_t c = 0; c < in.cols; ++c) variance += std::pow(in.row(t)[c] - mean, 2);
      const double inv = 1.0 / std::sqrt(variance / width + double{eps});
      statistics.raw<T>()[2 * t] = static_cast<T>(mean);
      statistics.raw<T>()[2 * t + 1] = static_cast<T>(inv);
      for (std::int64_t c = 0; c < in.cols; ++c) {
        out.row(t)[c] = static_cast<T>((in.row(t)[c] - mean) * inv * weight.raw<T>()[c] +
                                       double{bias.raw<T>()[c]});
      }
    }
  });
}

// With n = (x - mean) * inv and h = grad_y * weight: grad_x = inv * (h - mean(h) - n * mean(h *
// n)).
void ReferenceKernels::layer_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                                 const Tensor& x, const Tensor& weight,
                                                 const Tensor& statistics, const Write& write) {
  by_dtype(grad_x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto out = matrix<T>(grad_x);
    auto grad = matrix<T>(grad_y);
    auto in = matrix<T>(x);
    const T* w = weight.raw<T>();
    const auto width = static_cast<double>(in.cols);
    for (std::int64_t t = 0; t < in.rows; ++t) {
      const double mean = statistics.raw<T>()[2 * t];
      const double inv = statistics.raw<T>()[2 * t + 1];
      double sum = 0.0;
      double product = 0.0;
      for (std::int64_t c = 0; c < in.cols; ++c) {
        const double h = double{grad.row(t)[c]} * w[c];
        sum += h;
        product += h * (in.row(t)[c] - mean) * inv;
      }
      for (std::int64_t c = 0; c < in.cols; ++c) {
        const double h = double{grad.row(t)[c]} * w[c];
        const double n = (in.row(t)[c] - mean) * inv;
        const double g = inv * (h - sum / width - n * product / width);
        out.row(t)[c] = static_cast<T>(write == Write::set ? g : g + double{out.row(t)[c]});
      }
    }
  });
}

void ReferenceKernels::layer_norm_backward_weight(const Tensor& grad_weight,
                                                  const Tensor& grad_bias, const Tensor& grad_y,
                                                  const Tensor& x, const Tensor& statistics,
                                                  const Tensor&) {
  by_dtype(grad_y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto grad = matrix<T>(grad_y);
    auto in = matrix<T>(x);
    for (std::int64_t c = 0; c < in.cols; ++c) {
      double weight = 0.0;
      double bias = 0.0;
      for (std::int64_t t = 0; t < in.rows; ++t) {
        const double g = grad.row(t)[c];
        weight += g * (in.row(t)[c] - double{statistics.raw<T>()[2 * t]}) *
                  statistics.raw<T>()[2 * t + 1];
        bias += g;
      }
      grad_weight.raw<T>()[c] = static_cast<T>(grad_weight.raw<T>()[c] + weight);
      grad_bias.raw<T>()[c] = static_cast<T>(grad_bias.raw<T>()[c] + bias);
    }
  });
}

namespace {
constexpr double gelu_slope = 0.7978845608028654;  // sqrt(2 / pi)
constexpr double gelu_cube = 0.044715;
}  // namespace

void ReferenceKernels::gelu_forward(const Tensor& out, const Tensor& x) {
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t t = 0; t < out.dim(0); ++t) {
      for (std::int64_t f = 0; f < out.dim(1); ++f) {
        const double z = matrix<T>(x).row(t)[f];
        const double bent = std::tanh(gelu_slope * (z + gelu_cube * z * z * z));
        matrix<T>(out).row(t)[f] = static_cast<T>(0.5 * z * (1.0 + bent));
      }
    }
  });
}

void ReferenceKernels::gelu_backward(const Tensor& grad_x, const Tensor& grad_out,
                                     const Tensor& x) {
  by_dtype(grad_x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t t = 0; t < grad_x.dim(0); ++t) {
      for (std::int64_t f = 0; f < grad_x.dim(1); ++f) {
        const double z = matrix<T>(x).row(t)[f];
        const double bent = std::tanh(gelu_slope * (z + gelu_cube * z * z * z));
        const double inner = gelu_slope * (1.0 + 3.0 * gelu_cube * z * z);
        const double slope = 0.5 * (1.0 + bent) + 0.5 * z * (1.0 - bent * bent) * inner;
        matrix<T>(grad_x).row(t)[f] = static_cast<T>(slope * matrix<T>(grad_out).row(t)[f]);
      }
    }
  });
}

void ReferenceKernels::add_column_sums(const Tensor& out, const Tensor& in, const Tensor&) {
  const auto sum = [&](auto* to, auto rows, auto&& widen) {
    using T = std::remove_reference_t<decltype(*to)>;
    for (std::int64_t c = 0; c < rows.cols; ++c) {
      double total = 0.0;
      for (std::int64_t t = 0; t < rows.rows; ++t) total += double{widen(rows.row(t)[c])};
      to[c] = static_cast<T>(to[c] + total);
    }
  };
  if (in.dtype() == Dtype::bf16 || in.dtype() == Dtype::f16) {
    const bool brain = in.dtype() == Dtype::bf16;
    const Matrix<const std::uint16_t> bits{reinterpret_cast<const std::uint16_t*>(in.raw_bytes()),
                                           in.dim(0), in.dim(1), in.strides()[0]};
    by_dtype(out.dtype(), [&](auto zero) {
      sum(out.raw<decltype(zero)>(), bits,
          [&](std::uint16_t each) { return brain ? to_float(Bf16{each}) : to_float(F16{each}); });
    });
    return;
  }
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum(out.raw<T>(), matrix<T>(in), [](T each) { return each; });
  });
}

}  // namespace concordat::device
