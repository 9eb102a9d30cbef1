// Embedding, RMSNorm, RoPE, SwiGLU and cross entropy: rows over threads, vector code inside.
#include <algorithm>
#include <array>

#include "device/cpu/cpu_kernels.hpp"
#include "device/cpu/row_ranges.hpp"

namespace concordat::device {

void CpuKernels::embedding_forward(const Tensor& x, const Tensor& tokens, const Tensor& table,
                                   const std::int64_t& vocab_begin, const Write& write) {
  const VectorKernels& vector = vector_kernels();
  auto out = matrix<float>(x);
  const std::int32_t* token = tokens.raw<std::int32_t>();
  const bool adds = write == Write::accumulate;
  auto look_up = [&](auto weights, auto&& convert) {
    parallel_rows(out.rows, out.cols, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const std::int64_t row = token[t] - vocab_begin;
        if (row >= 0 && row < weights.rows) {
          convert(out.row(t), weights.row(row), out.cols);
        } else if (!adds) {
          std::fill_n(out.row(t), out.cols, 0.0F);
        }
      }
    });
  };
  if (table.dtype() == Dtype::f32) {
    look_up(matrix<float>(table), [&](float* to, const float* from, std::int64_t n) {
      adds ? vector.add(to, to, from, n) : (void)std::copy_n(from, n, to);
    });
    return;
  }
  const Matrix<const std::uint16_t> narrow{
      reinterpret_cast<const std::uint16_t*>(table.raw_bytes()), table.dim(0), table.dim(1),
      table.strides()[0]};
  const auto widen = table.dtype() == Dtype::bf16 ? vector.from_bf16 : vector.from_f16;
  if (!adds) return look_up(narrow, widen);
  look_up(narrow, [&](float* to, const std::uint16_t* from, std::int64_t n) {
    constexpr std::int64_t piece = 256;
    std::array<float, piece> wide;
    for (std::int64_t at = 0; at < n; at += piece) {
      const std::int64_t count = std::min(piece, n - at);
      widen(wide.data(), from + at, count);
      vector.add(to + at, to + at, wide.data(), count);
    }
  });
}

// Threads own columns, so every element is added to in ascending order of t.
void CpuKernels::embedding_backward(const Tensor& grad_table, const Tensor& grad_x,
                                    const Tensor& tokens, const std::int64_t& vocab_begin) {
  const VectorKernels& vector = vector_kernels();
  auto grad = matrix<float>(grad_x);
  auto weights = matrix<float>(grad_table);
  const std::int32_t* token = tokens.raw<std::int32_t>();
  parallel_rows(grad.cols, grad.rows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < grad.rows; ++t) {
      const std::int64_t row = token[t] - vocab_begin;
      if (row < 0 || row >= weights.rows) continue;
      float* to = weights.row(row) + begin;
      vector.add(to, to, grad.row(t) + begin, end - begin);
    }
  });
}

void CpuKernels::rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                                  const Tensor& weight, const float& eps) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(x.dim(0), x.dim(1), [&](std::int64_t begin, std::int64_t end) {
    if (is_bf16(y)) {
      vector.rms_forward_bf16(narrow_rows_of(y, begin, end), inv_rms.raw<float>() + begin,
                              const_rows(x, begin, end), weight.raw<float>(), eps);
    } else {
      vector.rms_forward(rows_of(y, begin, end), inv_rms.raw<float>() + begin,
                         const_rows(x, begin, end), weight.raw<float>(), eps);
    }
  });
}

void CpuKernels::rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                         const Tensor& x, const Tensor& weight,
                                         const Tensor& inv_rms, const Write& write) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(x.dim(0), x.dim(1), [&](std::int64_t begin, std::int64_t end) {
    vector.rms_backward_input(rows_of(grad_x, begin, end), const_rows(grad_y, begin, end),
                              const_rows(x, begin, end), weight.raw<float>(),
                              inv_rms.raw<float>() + begin, write == Write::accumulate);
  });
}

std::size_t CpuKernels::rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const {
  return static_cast<std::size_t>(partials(rows) * width) * sizeof(float);
}

void CpuKernels::rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y,
                                          const Tensor& x, const Tensor& inv_rms,
                                          const Tensor& scratch) {
  const VectorKernels& vector = vector_kernels();
  const std::int64_t width = x.dim(1);
  const std::int64_t count = partials(x.dim(0));
  if (count == 0 || width == 0) return;
  auto* partial = reinterpret_cast<float*>(scratch.raw_bytes());
  parallel_rows(count, rows_per_partial * width, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t from = i * rows_per_partial;
      const std::int64_t to = std::min(from + rows_per_partial, x.dim(0));
      float* mine = partial + i * width;
      std::fill_n(mine, width, 0.0F);
      vector.rms_backward_weight(mine, const_rows(grad_y, from, to), const_rows(x, from, to),
                                 inv_rms.raw<float>() + from);
    }
  });
  float* total = grad_weight.raw<float>();
  for (std::int64_t i = 0; i < count; ++i) vector.add(total, total, partial + i * width, width);
}

void CpuKernels::rope(const Tensor& out, const Tensor& x, const Tensor& positions,
                      const RopeOptions& options) {
  if (out.dim(0) == 0) return;
  const VectorKernels& vector = vector_kernels();
  const std::int32_t* position = positions.raw<std::int32_t>();
  const auto [lowest, highest] = std::minmax_element(position, position + out.dim(0));
  CONCORDAT_REQUIRE(*lowest >= 0, "position " + std::to_string(*lowest));
  auto table = rope_tables_.table(options, *highest);
  const float direction = options.inverse ? -1.0F : 1.0F;
  parallel_rows(out.dim(0), out.dim(1), [&](std::int64_t begin, std::int64_t end) {
    vector.rope(rows_of(out, begin, end), const_rows(x, begin, end), position + begin,
                table->cosines.data(), table->sines.data(), options.head_dim / 2, direction);
  });
}

void CpuKernels::swiglu_forward(const Tensor& out, const Tensor& gate, const Tensor& up) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(out.dim(0), out.dim(1), [&](std::int64_t begin, std::int64_t end) {
    if (is_bf16(gate)) {
      vector.swiglu_forward_all_bf16(narrow_rows_of(out, begin, end),
                                     const_narrow_rows(gate, begin, end),
                                     const_narrow_rows(up, begin, end));
    } else if (is_bf16(out)) {
      vector.swiglu_forward_bf16(narrow_rows_of(out, begin, end), const_rows(gate, begin, end),
                                 const_rows(up, begin, end));
    } else {
      vector.swiglu_forward(rows_of(out, begin, end), const_rows(gate, begin, end),
                            const_rows(up, begin, end));
    }
  });
}

void CpuKernels::swiglu_backward(const Tensor& grad_gate, const Tensor& grad_up,
                                 const Tensor& grad_out, const Tensor& gate, const Tensor& up) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(gate.dim(0), gate.dim(1), [&](std::int64_t begin, std::int64_t end) {
    const ConstRows g = const_rows(grad_out, begin, end);
    if (is_bf16(gate)) {
      vector.swiglu_backward_all_bf16(
          narrow_rows_of(grad_gate, begin, end), narrow_rows_of(grad_up, begin, end), g,
          const_narrow_rows(gate, begin, end), const_narrow_rows(up, begin, end));
      return;
    }
    const ConstRows z = const_rows(gate, begin, end);
    const ConstRows u = const_rows(up, begin, end);
    if (is_bf16(grad_gate)) {
      vector.swiglu_backward_bf16(narrow_rows_of(grad_gate, begin, end),
                                  narrow_rows_of(grad_up, begin, end), g, z, u);
    } else {
      vector.swiglu_backward(rows_of(grad_gate, begin, end), rows_of(grad_up, begin, end), g, z, u);
    }
  });
}

void CpuKernels::cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                                   const VocabShard& shard) {
  const VectorKernels& vector = vector_kernels();
  parallel_rows(logits.dim(0), logits.dim(1), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      row_max.raw<float>()[t] = vector.max(matrix<float>(logits).row(t), shard.valid);
    }
  });
}

void CpuKernels::cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit,
                                   const Tensor& logits, const Tensor& row_max,
                                   const Tensor& targets, const VocabShard& shard) {
  const VectorKernels& vector = vector_kernels();
  const std::int32_t* target = targets.raw<std::int32_t>();
  auto in = matrix<float>(logits);
  parallel_rows(in.rows, in.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      row_sum.raw<float>()[t] = vector.exp_sum(in.row(t), row_max.raw<float>()[t], shard.valid);
      const std::int64_t column = target[t] - shard.begin;
      const bool here = target[t] >= 0 && column >= 0 && column < shard.valid;
      target_logit.raw<float>()[t] = here ? in.row(t)[column] : 0.0F;
    }
  });
}

void CpuKernels::cross_entropy_gradient(const Tensor& grad_logits, const Tensor& logits,
                                        const Tensor& row_max, const Tensor& row_sum,
                                        const Tensor& targets, const Tensor& scale,
                                        const VocabShard& shard) {
  const VectorKernels& vector = vector_kernels();
  const std::int32_t* target = targets.raw<std::int32_t>();
  const float factor = *scale.raw<float>();
  auto in = matrix<float>(logits);
  parallel_rows(in.rows, in.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t valid = target[t] >= 0 ? shard.valid : 0;
      const std::int64_t column = target[t] - shard.begin;
      const bool here = column >= 0 && column < valid;
      const float top = row_max.raw<float>()[t];
      const float share = factor / row_sum.raw<float>()[t];
      float at_target = 0.0F;  // before it is overwritten: in place is allowed
      if (here) vector.exp_scaled(&at_target, in.row(t) + column, top, share, 1);
      at_target -= factor;
      if (is_bf16(grad_logits)) {
        std::uint16_t* const to = narrow_rows_of(grad_logits, t, t + 1).data;
        vector.exp_scaled_bf16(to, in.row(t), top, share, valid);
        std::fill(to + valid, to + in.cols, std::uint16_t{0});
        if (here) vector.to_bf16(to + column, &at_target, 1);
      } else {
        float* const to = matrix<float>(grad_logits).row(t);
        vector.exp_scaled(to, in.row(t), top, share, valid);
        std::fill(to + valid, to + in.cols, 0.0F);
        if (here) to[column] = at_target;
      }
    }
  });
}

}  // namespace concordat::device
