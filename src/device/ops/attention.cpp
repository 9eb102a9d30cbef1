#include "concordat/device/ops/attention.hpp"

#include <cmath>

#include "device/launch.hpp"

namespace concordat::device {
namespace {

AttentionShape checked(const AttentionShape& given) {
  AttentionShape s = given;
  CONCORDAT_REQUIRE(
      s.batch >= 1 && s.heads >= 1 && s.kv_heads >= 1 && s.heads % s.kv_heads == 0,
      std::to_string(s.heads) + " heads, " + std::to_string(s.kv_heads) + " kv heads");
  CONCORDAT_REQUIRE(s.head_dim >= 1 && s.q_length >= 1 && s.k_length >= 1,
                    std::to_string(s.q_length) + " x " + std::to_string(s.k_length));
  if (s.scale == 0.0F) s.scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim));
  return s;
}

void require_queries(const char* name, const Tensor& t, const AttentionShape& s, Dtype dtype) {
  require_rows(name, t, s.batch * s.q_length, s.heads * s.head_dim, dtype);
}

void require_keys(const char* name, const Tensor& t, const AttentionShape& s, Dtype dtype) {
  require_rows(name, t, s.batch * s.k_length, s.kv_heads * s.head_dim, dtype);
}

void require_lse(const char* name, const Tensor& t, const AttentionShape& s, Dtype dtype) {
  require_rows(name, t, s.batch * s.q_length, s.heads, dtype);
}

}  // namespace

void attention_forward(Exec& exec, const Tensor& out, const Tensor& lse, const Tensor& q,
                       const Tensor& k, const Tensor& v, const AttentionShape& given) {
  AttentionShape shape = checked(given);
  Dtype dtype = compute_dtype(exec, out);
  require_queries("out", out, shape, dtype);
  require_queries("q", q, shape, dtype);
  require_keys("k", k, shape, dtype);
  require_keys("v", v, shape, dtype);
  require_lse("lse", lse, shape, dtype);
  ArenaScope scope(exec.arena);
  Tensor scratch =
      take_scratch(exec, exec.backend.kernels(exec.stream).attention_scratch_bytes(shape, false));
  launch(exec, &Kernels::attention_forward, out, lse, q, k, v, shape, scratch);
}

void attention_merge(Exec& exec, const Tensor& out, const Tensor& lse, const Tensor& other_out,
                     const Tensor& other_lse, const AttentionShape& given) {
  AttentionShape shape = checked(given);
  Dtype dtype = compute_dtype(exec, out);
  require_queries("out", out, shape, dtype);
  require_queries("other_out", other_out, shape, dtype);
  require_lse("lse", lse, shape, dtype);
  require_lse("other_lse", other_lse, shape, dtype);
  launch(exec, &Kernels::attention_merge, out, lse, other_out, other_lse, shape);
}

void attention_backward(Exec& exec, const AttentionGradients& gradients, const Tensor& grad_out,
                        const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                        const Tensor& lse, const AttentionShape& given, Write write) {
  AttentionShape shape = checked(given);
  Dtype dtype = compute_dtype(exec, gradients.q);
  require_queries("grad_q", gradients.q, shape, dtype);
  require_keys("grad_k", gradients.k, shape, dtype);
  require_keys("grad_v", gradients.v, shape, dtype);
  require_queries("grad_out", grad_out, shape, dtype);
  require_queries("q", q, shape, dtype);
  require_keys("k", k, shape, dtype);
  require_keys("v", v, shape, dtype);
  require_queries("out", out, shape, dtype);
  require_lse("lse", lse, shape, dtype);
  ArenaScope scope(exec.arena);
  Tensor scratch =
      take_scratch(exec, exec.backend.kernels(exec.stream).attention_scratch_bytes(shape, true));
  launch(exec, &Kernels::attention_backward, gradients.q, gradients.k, gradients.v, grad_out, q, k,
         v, out, lse, shape, write, scratch);
}

}  // namespace concordat::device
