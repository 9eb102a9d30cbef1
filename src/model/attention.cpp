#include "concordat/model/attention.hpp"

#include <algorithm>

#include "concordat/device/ops/rope.hpp"

namespace concordat::model {

namespace {
/// Columns of the joint product: views, not copies.
struct Parts {
  Tensor q, kv;
};
Parts split(const Tensor& qkv, std::int64_t q_width) {
  return {qkv.slice(1, 0, q_width), qkv.slice(1, q_width, qkv.dim(1) - q_width)};
}
}  // namespace

Attention::Attention(const ModelConfig& config, int tp, const Weights& weights, SlotNames& slots,
                     const std::string& name)
    : heads_(config.heads / tp),
      kv_heads_(std::max(1, config.kv_heads / tp)),
      head_dim_(config.head_dim()),
      rotary_(!config.traits().learned_positions),
      rope_base_(static_cast<double>(config.rope_base)),
      qkv_(weights.qkv, Split::columns, slots, name + ".qkv"),
      out_(weights.out, Split::rows, slots, name + ".out"),
      turned_(slots.reserve(name + ".turned_qkv")),
      result_(slots.reserve(name + ".result")),
      lse_(slots.reserve(name + ".lse")) {}

RingShape Attention::shape(const Pass& pass) const {
  return {.heads = heads_,
          .kv_heads = kv_heads_,
          .head_dim = head_dim_,
          .rounds_to = qkv_.rounds_to(pass)};
}

void Attention::turn(Pass& pass, const Tensor& qkv, bool inverse) const {
  if (!rotary_) return;
  // Query and key columns are neighbours: one call turns both.
  const Tensor qk = qkv.slice(1, 0, (heads_ + kv_heads_) * head_dim_);
  device::rope(pass.exec, qk, qk, pass.batch.positions,
               {.head_dim = head_dim_, .base = rope_base_, .inverse = inverse});
}

Tensor Attention::forward_add(Pass& pass, const Tensor& x, const Tensor& residual) {
  const Tensor qkv = qkv_.forward(pass, x);
  turn(pass, qkv, false);
  const auto [q, kv] = split(qkv, heads_ * head_dim_);
  const Tensor result = pass.take(qkv.dim(0), heads_ * head_dim_);
  const Tensor lse = pass.take(qkv.dim(0), heads_);
  ring_attention_forward(pass, {result, lse}, q, kv, shape(pass));
  pass.save(turned_, qkv, 1);
  if (!pass.remakes) {
    pass.save(result_, result, 1);
    pass.save(lse_, lse, 1);
  }
  return out_.forward_add(pass, result, residual);
}

Tensor Attention::backward_input(Pass& pass, const Tensor& grad_y) {
  const Tensor grad_result = out_.backward_input(pass, grad_y);
  const Tensor qkv = pass.saved.use(turned_);
  const auto [q, kv] = split(qkv, heads_ * head_dim_);
  Tensor result, lse;
  if (pass.remakes) {
    result = pass.take(qkv.dim(0), heads_ * head_dim_);
    lse = pass.take(qkv.dim(0), heads_);
    ring_attention_forward(pass, {result, lse}, q, kv, shape(pass));
    out_.keep(pass, result);
  } else {
    result = pass.saved.use(result_);
    lse = pass.saved.use(lse_);
  }
  const Tensor grad_qkv = pass.take(qkv.dim(0), qkv.dim(1));
  const auto grads = split(grad_qkv, heads_ * head_dim_);
  ring_attention_backward(pass, {grads.q, grads.kv}, grad_result, q, kv, {result, lse},
                          shape(pass));
  turn(pass, grad_qkv, true);
  return qkv_.backward_input(pass, grad_qkv);
}

void Attention::backward_weight(Pass& pass) {
  out_.backward_weight(pass);
  qkv_.backward_weight(pass);
}

}  // namespace concordat::model
