// Embedding, RMSNorm, RoPE, SwiGLU.
#include <cmath>

#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {

void ReferenceKernels::embedding_forward(const Tensor& x, const Tensor& tokens, const Tensor& table,
                                         const std::int64_t& vocab_begin, const Write& write) {
  // A row by the generic copy, which casts from every format that a table is kept in.
  const Tensor wide = host_tensor(x.dtype(), {1, x.dim(1)});
  for (std::int64_t t = 0; t < x.dim(0); ++t) {
    const std::int64_t row = tokens.raw<std::int32_t>()[t] - vocab_begin;
    const Tensor to = x.slice(0, t, 1);
    if (row >= 0 && row < table.dim(0)) {
      copy(write == Write::set ? to : wide, table.slice(0, row, 1));
      if (write == Write::accumulate) add(to, to, wide);
    } else if (write == Write::set) {
      fill(to, 0.0);
    }
  }
}

void ReferenceKernels::embedding_backward(const Tensor& grad_table, const Tensor& grad_x,
                                          const Tensor& tokens, const std::int64_t& vocab_begin) {
  by_dtype(grad_x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto grad = matrix<T>(grad_x);
    auto rows = matrix<T>(grad_table);
    for (std::int64_t t = 0; t < grad.rows; ++t) {
      std::int64_t row = tokens.raw<std::int32_t>()[t] - vocab_begin;
      if (row < 0 || row >= rows.rows) continue;
      for (std::int64_t c = 0; c < grad.cols; ++c) rows.row(row)[c] += grad.row(t)[c];
    }
  });
}

void ReferenceKernels::rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                                        const Tensor& weight, const float& eps) {
  by_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto out = matrix<T>(y);
    auto in = matrix<T>(x);
    for (std::int64_t t = 0; t < in.rows; ++t) {
      double squares = 0.0;
      for (std::int64_t c = 0; c < in.cols; ++c) squares += double{in.row(t)[c]} * in.row(t)[c];
      double inv = 1.0 / std::sqrt(squares / static_cast<double>(in.cols) + double{eps});
      inv_rms.raw<T>()[t] = static_cast<T>(inv);
      for (std::int64_t c = 0; c < in.cols; ++c) {
        out.row(t)[c] = static_cast<T>(in.row(t)[c] * inv * weight.raw<T>()[c]);
      }
    }
  });
}

// With n = x * inv and h = grad_y * weight: grad_x = inv * (h - n * mean(h * n)).
void ReferenceKernels::rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                               const Tensor& x, const Tensor& weight,
                                               const Tensor& inv_rms, const Write& write) {
  by_dtype(grad_x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto out = matrix<T>(grad_x);
    auto grad = matrix<T>(grad_y);
    auto in = matrix<T>(x);
    const T* w = weight.raw<T>();
    for (std::int64_t t = 0; t < in.rows; ++t) {
      double inv = inv_rms.raw<T>()[t];
      double mean = 0.0;
      for (std::int64_t c = 0; c < in.cols; ++c) {
        mean += double{grad.row(t)[c]} * w[c] * in.row(t)[c] * inv;
      }
      mean /= static_cast<double>(in.cols);
      for (std::int64_t c = 0; c < in.cols; ++c) {
        double g = inv * (double{grad.row(t)[c]} * w[c] - in.row(t)[c] * inv * mean);
        out.row(t)[c] = static_cast<T>(write == Write::set ? g : g + double{out.row(t)[c]});
      }
    }
  });
}

void ReferenceKernels::rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y,
                                                const Tensor& x, const Tensor& inv_rms,
                                                const Tensor&) {
  by_dtype(grad_y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto grad = matrix<T>(grad_y);
    auto in = matrix<T>(x);
    for (std::int64_t c = 0; c < in.cols; ++c) {
      double total = 0.0;
      for (std::int64_t t = 0; t < in.rows; ++t) {
        total += double{grad.row(t)[c]} * in.row(t)[c] * inv_rms.raw<T>()[t];
      }
      grad_weight.raw<T>()[c] = static_cast<T>(grad_weight.raw<T>()[c] + total);
    }
  });
}

void ReferenceKernels::rope(const Tensor& out, const Tensor& x, const Tensor& positions,
                            const RopeOptions& options) {
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto to = matrix<T>(out);
    auto from = matrix<T>(x);
    std::int64_t half = options.head_dim / 2;
    for (std::int64_t t = 0; t < to.rows; ++t) {
      for (std::int64_t i = 0; i < half; ++i) {
        double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(options.head_dim);
        double angle = positions.raw<std::int32_t>()[t] * std::pow(options.base, exponent);
        double c = std::cos(angle);
        double s = options.inverse ? -std::sin(angle) : std::sin(angle);
        for (std::int64_t head = 0; head < to.cols; head += options.head_dim) {
          double low = from.row(t)[head + i];
          double high = from.row(t)[head + half + i];
          to.row(t)[head + i] = static_cast<T>(low * c - high * s);
          to.row(t)[head + half + i] = static_cast<T>(high * c + low * s);
        }
      }
    }
  });
}

void ReferenceKernels::swiglu_forward(const Tensor& out, const Tensor& gate, const Tensor& up) {
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t t = 0; t < out.dim(0); ++t) {
      for (std::int64_t f = 0; f < out.dim(1); ++f) {
        double z = matrix<T>(gate).row(t)[f];
        matrix<T>(out).row(t)[f] =
            static_cast<T>(z / (1.0 + std::exp(-z)) * matrix<T>(up).row(t)[f]);
      }
    }
  });
}

// With s = sigmoid(z): silu'(z) = s * (1 + z * (1 - s)).
void ReferenceKernels::swiglu_backward(const Tensor& grad_gate, const Tensor& grad_up,
                                       const Tensor& grad_out, const Tensor& gate,
                                       const Tensor& up) {
  by_dtype(grad_gate.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t t = 0; t < grad_gate.dim(0); ++t) {
      for (std::int64_t f = 0; f < grad_gate.dim(1); ++f) {
        double z = matrix<T>(gate).row(t)[f];
        double u = matrix<T>(up).row(t)[f];
        double g = matrix<T>(grad_out).row(t)[f];
        double s = 1.0 / (1.0 + std::exp(-z));
        matrix<T>(grad_up).row(t)[f] = static_cast<T>(g * z * s);
        matrix<T>(grad_gate).row(t)[f] = static_cast<T>(g * u * s * (1.0 + z * (1.0 - s)));
      }
    }
  });
}

}  // namespace concordat::device
