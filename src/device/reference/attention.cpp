// Attention, one query at a time: the scores of one row are all that is held.
#include <cmath>
#include <limits>
#include <vector>

#include "device/reference/reference_kernels.hpp"
#include "device/views.hpp"

namespace concordat::device {
namespace {

// Keys of the chunk that the query at row `i` sees: the first `visible` ones.
std::int64_t visible_keys(const AttentionShape& s, std::int64_t i) {
  if (!s.causal) return s.k_length;
  return std::clamp<std::int64_t>(s.q_begin + i - s.k_begin + 1, 0, s.k_length);
}

template <typename T>
double dot(const T* a, const T* b, std::int64_t n) {
  double total = 0.0;
  for (std::int64_t i = 0; i < n; ++i) total += double{a[i]} * double{b[i]};
  return total;
}

}  // namespace

void ReferenceKernels::attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q,
                                         const Tensor& k, const Tensor& v, const AttentionShape& s,
                                         const Tensor&) {
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<double> p(static_cast<std::size_t>(s.k_length));
    for (std::int64_t row = 0; row < s.batch * s.q_length; ++row) {
      std::int64_t keys = visible_keys(s, row % s.q_length);
      std::int64_t first_key = row / s.q_length * s.k_length;
      for (std::int64_t h = 0; h < s.heads; ++h) {
        std::int64_t g = h / (s.heads / s.kv_heads);
        const T* query = matrix<T>(q).row(row) + h * s.head_dim;
        double largest = -std::numeric_limits<double>::infinity();
        for (std::int64_t j = 0; j < keys; ++j) {
          const T* key = matrix<T>(k).row(first_key + j) + g * s.head_dim;
          p[static_cast<std::size_t>(j)] = dot(query, key, s.head_dim) * double{s.scale};
          largest = std::max(largest, p[static_cast<std::size_t>(j)]);
        }
        double total = 0.0;
        for (std::int64_t j = 0; j < keys; ++j) {
          double& each = p[static_cast<std::size_t>(j)];
          each = std::exp(each - largest);
          total += each;
        }
        matrix<T>(lse).row(row)[h] = static_cast<T>(largest + std::log(total));
        T* to = matrix<T>(out).row(row) + h * s.head_dim;
        for (std::int64_t d = 0; d < s.head_dim; ++d) {
          double sum = 0.0;
          for (std::int64_t j = 0; j < keys; ++j) {
            sum += p[static_cast<std::size_t>(j)] *
                   double{matrix<T>(v).row(first_key + j)[g * s.head_dim + d]};
          }
          to[d] = keys == 0 ? T{0} : static_cast<T>(sum / total);
        }
        if (keys == 0) matrix<T>(lse).row(row)[h] = -std::numeric_limits<T>::infinity();
      }
    }
  });
}

void ReferenceKernels::attention_merge(const Tensor& out, const Tensor& lse,
                                       const Tensor& other_out, const Tensor& other_lse,
                                       const AttentionShape& s) {
  by_dtype(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t row = 0; row < s.batch * s.q_length; ++row) {
      for (std::int64_t h = 0; h < s.heads; ++h) {
        double mine = matrix<T>(lse).row(row)[h];
        double theirs = matrix<T>(other_lse).row(row)[h];
        double largest = std::max(mine, theirs);
        if (std::isinf(largest)) continue;  // neither saw a key: out stays 0
        double a = std::exp(mine - largest);
        double b = std::exp(theirs - largest);
        T* to = matrix<T>(out).row(row) + h * s.head_dim;
        const T* from = matrix<T>(other_out).row(row) + h * s.head_dim;
        for (std::int64_t d = 0; d < s.head_dim; ++d) {
          to[d] = static_cast<T>((a * double{to[d]} + b * double{from[d]}) / (a + b));
        }
        matrix<T>(lse).row(row)[h] = static_cast<T>(largest + std::log(a + b));
      }
    }
  });
}

// With p = exp(score - lse) and delta = grad_out . out:
// grad_v += p grad_out, grad_score = p (grad_out . v - delta) scale, then through q k^T.
void ReferenceKernels::attention_backward(const Tensor& grad_q, const Tensor& grad_k,
                                          const Tensor& grad_v, const Tensor& grad_out,
                                          const Tensor& q, const Tensor& k, const Tensor& v,
                                          const Tensor& out, const Tensor& lse,
                                          const AttentionShape& s, const Write& write,
                                          const Tensor&) {
  if (write == Write::set) {
    fill(grad_q, 0.0);
    fill(grad_k, 0.0);
    fill(grad_v, 0.0);
  }
  by_dtype(grad_q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t row = 0; row < s.batch * s.q_length; ++row) {
      std::int64_t keys = visible_keys(s, row % s.q_length);
      std::int64_t first_key = row / s.q_length * s.k_length;
      for (std::int64_t h = 0; h < s.heads; ++h) {
        std::int64_t kv = h / (s.heads / s.kv_heads) * s.head_dim;
        const T* query = matrix<T>(q).row(row) + h * s.head_dim;
        const T* grad = matrix<T>(grad_out).row(row) + h * s.head_dim;
        T* to_q = matrix<T>(grad_q).row(row) + h * s.head_dim;
        double delta = dot(grad, matrix<T>(out).row(row) + h * s.head_dim, s.head_dim);
        double log_sum = matrix<T>(lse).row(row)[h];
        for (std::int64_t j = 0; j < keys; ++j) {
          const T* key = matrix<T>(k).row(first_key + j) + kv;
          const T* value = matrix<T>(v).row(first_key + j) + kv;
          T* to_k = matrix<T>(grad_k).row(first_key + j) + kv;
          T* to_v = matrix<T>(grad_v).row(first_key + j) + kv;
          double p = std::exp(dot(query, key, s.head_dim) * double{s.scale} - log_sum);
          double ds = p * (dot(grad, value, s.head_dim) - delta) * double{s.scale};
          for (std::int64_t d = 0; d < s.head_dim; ++d) {
            to_v[d] = static_cast<T>(to_v[d] + p * double{grad[d]});
            to_q[d] = static_cast<T>(to_q[d] + ds * double{key[d]});
            to_k[d] = static_cast<T>(to_k[d] + ds * double{query[d]});
          }
        }
      }
    }
  });
}

}  // namespace concordat::device
