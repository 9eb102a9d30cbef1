// LayerNorm, GELU and column sums: rows over threads, vector code inside.
#include <algorithm>

#include "device/cpu/cpu_kernels.hpp"
#include "device/cpu/row_ranges.hpp"

namespace concordat::device {
namespace {

/// total += the sum over stretches of rows of what `add_rows(partial, from, to)` adds to `width`
/// floats: stretch by stretch over the threads, then in their order.
template <typename AddRows, typename AddTo>
void sum_over_rows(std::int64_t rows, std::int64_t width, std::int64_t stride,
                   const Tensor& scratch, AddRows&& add_rows, AddTo&& add_to) {
  const std::int64_t count = partials(rows);
  if (count == 0 || width == 0) return;
  auto* partial = reinterpret_cast<float*>(scratch.raw_bytes());
  parallel_rows(count, rows_per_partial * width, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t from = i * rows_per_partial;
      std::fill_n(partial + i * stride, stride, 0.0F);
      add_rows(partial + i * stride, from, std::min(from + rows_per_partial, rows));
    }
  });
  for (std::int64_t i = 0; i < count; ++i) add_to(partial + i * stride);
}

}  // namespace

void CpuKernels::layer_norm_forward(const Tensor& y, const Tensor& statistics, const Tensor& x,
                                    const Tensor& weight, const Tensor& bias, const float& eps) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(x.dim(0), x.dim(1), [&](std::int64_t begin, std::int64_t end) {
    float* const kept = statistics.raw<float>() + 2 * begin;
    const ConstRows in = const_rows(x, begin, end);
    if (is_bf16(y)) {
      vector.layer_norm_forward_bf16(narrow_rows_of(y, begin, end), kept, in, weight.raw<float>(),
                                     bias.raw<float>(), eps);
    } else {
      vector.layer_norm_forward(rows_of(y, begin, end), kept, in, weight.raw<float>(),
                                bias.raw<float>(), eps);
    }
  });
}

void CpuKernels::layer_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                           const Tensor& x, const Tensor& weight,
                                           const Tensor& statistics, const Write& write) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(x.dim(0), x.dim(1), [&](std::int64_t begin, std::int64_t end) {
    vector.layer_norm_backward_input(
        rows_of(grad_x, begin, end), const_rows(grad_y, begin, end), const_rows(x, begin, end),
        weight.raw<float>(), statistics.raw<float>() + 2 * begin, write == Write::accumulate);
  });
}

std::size_t CpuKernels::column_sums_scratch_bytes(std::int64_t rows, std::int64_t width) const {
  return static_cast<std::size_t>(partials(rows) * width) * sizeof(float);
}

void CpuKernels::layer_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_bias,
                                            const Tensor& grad_y, const Tensor& x,
                                            const Tensor& statistics, const Tensor& scratch) {
  const VectorKernels& vector = vector_kernels();
  const std::int64_t width = x.dim(1);
  float* weight = grad_weight.raw<float>();
  float* bias = grad_bias.raw<float>();
  sum_over_rows(
      x.dim(0), width, 2 * width, scratch,
      [&](float* partial, std::int64_t from, std::int64_t to) {
        vector.layer_norm_backward_weight(partial, partial + width, const_rows(grad_y, from, to),
                                          const_rows(x, from, to),
                                          statistics.raw<float>() + 2 * from);
      },
      [&](const float* partial) {
        vector.add(weight, weight, partial, width);
        vector.add(bias, bias, partial + width, width);
      });
}

void CpuKernels::gelu_forward(const Tensor& out, const Tensor& x) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(out.dim(0), out.dim(1), [&](std::int64_t begin, std::int64_t end) {
    if (is_bf16(x)) {
      vector.gelu_forward_all_bf16(narrow_rows_of(out, begin, end),
                                   const_narrow_rows(x, begin, end));
    } else if (is_bf16(out)) {
      vector.gelu_forward_bf16(narrow_rows_of(out, begin, end), const_rows(x, begin, end));
    } else {
      vector.gelu_forward(rows_of(out, begin, end), const_rows(x, begin, end));
    }
  });
}

void CpuKernels::gelu_backward(const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(x.dim(0), x.dim(1), [&](std::int64_t begin, std::int64_t end) {
    const ConstRows g = const_rows(grad_out, begin, end);
    if (is_bf16(x)) {
      vector.gelu_backward_all_bf16(narrow_rows_of(grad_x, begin, end), g,
                                    const_narrow_rows(x, begin, end));
    } else if (is_bf16(grad_x)) {
      vector.gelu_backward_bf16(narrow_rows_of(grad_x, begin, end), g, const_rows(x, begin, end));
    } else {
      vector.gelu_backward(rows_of(grad_x, begin, end), g, const_rows(x, begin, end));
    }
  });
}

// The second half of a partial holds a 16-bit row, widened.
void CpuKernels::add_column_sums(const Tensor& out, const Tensor& in, const Tensor& scratch) {
  const VectorKernels& vector = vector_kernels();
  const std::int64_t width = in.dim(1);
  const auto widen = in.dtype() == Dtype::bf16 ? vector.from_bf16 : vector.from_f16;
  const auto* bits = reinterpret_cast<const std::uint16_t*>(in.raw_bytes());
  float* total = out.raw<float>();
  sum_over_rows(
      in.dim(0), width, 2 * width, scratch,
      [&](float* partial, std::int64_t from, std::int64_t to) {
        for (std::int64_t t = from; t < to; ++t) {
          const float* row = partial + width;
          if (in.dtype() == Dtype::f32) {
            row = matrix<float>(in).row(t);
          } else {
            widen(partial + width, bits + t * in.strides()[0], width);
          }
          vector.add(partial, partial, row, width);
        }
      },
      [&](const float* partial) { vector.add(total, total, partial, width); });
}

}  // namespace concordat::device
