// The vector code of the `cpu` back end: plain functions on row ranges, compiled once per
// instruction set from vector_kernels.inc and chosen at run time. All f32, one thread each; the
// callers split the rows over OpenMP threads.
#pragma once

#include <cstdint>

#include "device/views.hpp"

namespace concordat::device {

using ConstRows = Matrix<const float>;
using Rows = Matrix<float>;
using NarrowRows = Matrix<std::uint16_t>;  ///< bf16
using ConstNarrowRows = Matrix<const std::uint16_t>;

struct AdamwStep {
  float beta1, beta2, keep, rate1, inv_correction2, eps, clip;
};

struct VectorKernels {
  const char* name;
  void (*add)(float* out, const float* a, const float* b, std::int64_t n);
  void (*scale)(float* inout, float factor, std::int64_t n);
  /// Sums of at most one block of elements, in f64 and eight fixed lanes.
  double (*sum)(const float* x, std::int64_t n);
  double (*sum_squares)(const float* x, std::int64_t n);
  void (*rms_forward)(Rows y, float* inv_rms, ConstRows x, const float* weight, float eps);
  void (*rms_forward_bf16)(NarrowRows y, float* inv_rms, ConstRows x, const float* weight,
                           float eps);
  void (*rms_backward_input)(Rows grad_x, ConstRows grad_y, ConstRows x, const float* weight,
                             const float* inv_rms, bool accumulate);
  /// partial += the rows' share.
  void (*rms_backward_weight)(float* partial, ConstRows grad_y, ConstRows x, const float* inv_rms);
  /// cosines and sines: one row of head_dim / 2 per position.
  void (*rope)(Rows out, ConstRows x, const std::int32_t* positions, const float* cosines,
               const float* sines, std::int64_t half, float direction);
  /// statistics: mean and 1 / standard deviation, in turn.
  void (*layer_norm_forward)(Rows y, float* statistics, ConstRows x, const float* weight,
                             const float* bias, float eps);
  void (*layer_norm_forward_bf16)(NarrowRows y, float* statistics, ConstRows x, const float* weight,
                                  const float* bias, float eps);
  void (*layer_norm_backward_input)(Rows grad_x, ConstRows grad_y, ConstRows x, const float* weight,
                                    const float* statistics, bool accumulate);
  /// weight, bias += the rows' share.
  void (*layer_norm_backward_weight)(float* weight, float* bias, ConstRows grad_y, ConstRows x,
                                     const float* statistics);
  void (*gelu_forward)(Rows out, ConstRows x);
  void (*gelu_forward_bf16)(NarrowRows out, ConstRows x);
  void (*gelu_forward_all_bf16)(NarrowRows out, ConstNarrowRows x);
  void (*gelu_backward)(Rows grad_x, ConstRows grad_out, ConstRows x);
  void (*gelu_backward_bf16)(NarrowRows grad_x, ConstRows grad_out, ConstRows x);
  void (*gelu_backward_all_bf16)(NarrowRows grad_x, ConstRows grad_out, ConstNarrowRows x);
  void (*swiglu_forward)(Rows out, ConstRows gate, ConstRows up);
  void (*swiglu_forward_bf16)(NarrowRows out, ConstRows gate, ConstRows up);
  void (*swiglu_forward_all_bf16)(NarrowRows out, ConstNarrowRows gate, ConstNarrowRows up);
  void (*swiglu_backward)(Rows grad_gate, Rows grad_up, ConstRows grad_out, ConstRows gate,
                          ConstRows up);
  void (*swiglu_backward_bf16)(NarrowRows grad_gate, NarrowRows grad_up, ConstRows grad_out,
                               ConstRows gate, ConstRows up);
  void (*swiglu_backward_all_bf16)(NarrowRows grad_gate, NarrowRows grad_up, ConstRows grad_out,
                                   ConstNarrowRows gate, ConstNarrowRows up);
  float (*max)(const float* x, std::int64_t n);
  /// out = exp(x - shift), and the sum of out. In place allowed.
  float (*exp_shifted)(float* out, const float* x, float shift, std::int64_t n);
  float (*exp_sum)(const float* x, float shift, std::int64_t n);
  /// out = exp(x - shift) * factor. In place allowed.
  void (*exp_scaled)(float* out, const float* x, float shift, float factor, std::int64_t n);
  void (*exp_scaled_bf16)(std::uint16_t* out, const float* x, float shift, float factor,
                          std::int64_t n);
  float (*dot)(const float* a, const float* b, std::int64_t n);
  /// grad = p * (grad - delta) * scale.
  void (*softmax_backward)(float* grad, const float* p, float delta, float scale, std::int64_t n);
  /// out = a * out + b * other.
  void (*blend)(float* out, const float* other, float a, float b, std::int64_t n);
  void (*adamw)(float* master, float* m, float* v, const float* gradient, std::int64_t n,
                const AdamwStep& step);
  void (*to_bf16)(std::uint16_t* out, const float* in, std::int64_t n);
  void (*from_bf16)(float* out, const std::uint16_t* in, std::int64_t n);
  void (*to_f16)(std::uint16_t* out, const float* in, std::int64_t n);
  void (*from_f16)(float* out, const std::uint16_t* in, std::int64_t n);
};

/// The widest set that this processor has and ONEDNN_MAX_CPU_ISA leaves in. @pre avx2_usable().
const VectorKernels& vector_kernels();
bool avx2_usable();

}  // namespace concordat::device
