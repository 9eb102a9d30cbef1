// Cross entropy, clipping, AdamW.
#include <cmath>
#include <limits>

#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {

void ReferenceKernels::cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                                         const VocabShard& shard) {
  by_dtype(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto in = matrix<T>(logits);
    for (std::int64_t t = 0; t < in.rows; ++t) {
      T largest = -std::numeric_limits<T>::infinity();
      for (std::int64_t j = 0; j < shard.valid; ++j) largest = std::max(largest, in.row(t)[j]);
      row_max.raw<T>()[t] = largest;
    }
  });
}

void ReferenceKernels::cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit,
                                         const Tensor& logits, const Tensor& row_max,
                                         const Tensor& targets, const VocabShard& shard) {
  by_dtype(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto in = matrix<T>(logits);
    for (std::int64_t t = 0; t < in.rows; ++t) {
      double total = 0.0;
      for (std::int64_t j = 0; j < shard.valid; ++j) {
        total += std::exp(double{in.row(t)[j]} - double{row_max.raw<T>()[t]});
      }
      row_sum.raw<T>()[t] = static_cast<T>(total);
      std::int64_t column = targets.raw<std::int32_t>()[t] - shard.begin;
      bool here = column >= 0 && column < shard.valid && targets.raw<std::int32_t>()[t] >= 0;
      target_logit.raw<T>()[t] = here ? in.row(t)[column] : T{0};
    }
  });
}

void ReferenceKernels::cross_entropy_loss(const Tensor& loss, const Tensor& row_max,
                                          const Tensor& row_sum, const Tensor& target_logit,
                                          const Tensor& targets) {
  by_dtype(loss.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t t = 0; t < loss.size(); ++t) {
      double nats = double{row_max.raw<T>()[t]} + std::log(double{row_sum.raw<T>()[t]}) -
                    double{target_logit.raw<T>()[t]};
      loss.raw<T>()[t] = targets.raw<std::int32_t>()[t] < 0 ? T{0} : static_cast<T>(nats);
    }
  });
}

void ReferenceKernels::cross_entropy_gradient(const Tensor& grad_logits, const Tensor& logits,
                                              const Tensor& row_max, const Tensor& row_sum,
                                              const Tensor& targets, const Tensor& scale,
                                              const VocabShard& shard) {
  by_dtype(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto out = matrix<T>(grad_logits);
    auto in = matrix<T>(logits);
    double factor = *scale.raw<T>();
    for (std::int64_t t = 0; t < in.rows; ++t) {
      std::int64_t target = targets.raw<std::int32_t>()[t];
      double largest = row_max.raw<T>()[t];
      double total = row_sum.raw<T>()[t];
      for (std::int64_t j = 0; j < in.cols; ++j) {
        double g = 0.0;
        if (j < shard.valid && target >= 0) {
          g = std::exp(double{in.row(t)[j]} - largest) / total;
          if (j + shard.begin == target) g -= 1.0;
        }
        out.row(t)[j] = static_cast<T>(g * factor);
      }
    }
  });
}

void ReferenceKernels::clip_factor(const Tensor& factor, const Tensor& found_inf,
                                   const Tensor& squares, const float& max_norm) {
  double total =
      squares.dtype() == Dtype::f64 ? *squares.raw<double>() : double{*squares.raw<float>()};
  bool finite = std::isfinite(total);
  double clip = 1.0;
  if (max_norm > 0.0F && finite) {
    double norm = std::sqrt(total);
    if (norm > double{max_norm}) clip = double{max_norm} / norm;
  }
  *factor.raw<float>() = finite ? static_cast<float>(clip) : 0.0F;
  *found_inf.raw<float>() = finite ? 0.0F : 1.0F;
}

void ReferenceKernels::adamw(const AdamwState& state, const Tensor& gradient,
                             const AdamwScalars& scalars, const AdamwSettings& settings) {
  if (*scalars.found_inf.raw<float>() != 0.0F) return;
  double rate = *scalars.rate.raw<float>();
  double correction1 = *scalars.correction1.raw<float>();
  double correction2 = *scalars.correction2.raw<float>();
  double clip = *scalars.clip.raw<float>();
  double beta1 = settings.beta1;
  double beta2 = settings.beta2;
  float* master = state.master.raw<float>();
  float* m = state.m.raw<float>();
  float* v = state.v.raw<float>();
  for (std::int64_t i = 0; i < gradient.size(); ++i) {
    double g = double{gradient.raw<float>()[i]} * clip;
    m[i] = static_cast<float>(beta1 * double{m[i]} + (1.0 - beta1) * g);
    v[i] = static_cast<float>(beta2 * double{v[i]} + (1.0 - beta2) * g * g);
    double step =
        double{m[i]} / correction1 / (std::sqrt(double{v[i]} / correction2) + double{settings.eps});
    double decayed = double{master[i]} * (1.0 - rate * double{settings.weight_decay});
    master[i] = static_cast<float>(decayed - rate * step);
  }
  if (!state.compute.empty()) copy(state.compute, state.master.reshape(state.compute.shape()));
}

}  // namespace concordat::device
