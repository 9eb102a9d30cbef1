// Kernels: the table of work that a back end fills in. Ops (src/device/ops) check shapes, take
// scratch from the arena and call or enqueue one of these; a kernel trusts its arguments.
//
// All take Tensors of the back end's own memory. Activations and weights in f64 come only
// where supports(f64); sums in f64 come everywhere.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "concordat/device/exec.hpp"
#include "concordat/device/ops/attention.hpp"
#include "concordat/device/ops/cross_entropy.hpp"
#include "concordat/device/ops/matmul.hpp"
#include "concordat/device/ops/optimizer.hpp"
#include "concordat/device/ops/quantise.hpp"
#include "concordat/device/ops/rope.hpp"

namespace concordat::device {

/// What a product may do beside itself (ops/fused_products.hpp), and the tensor it does it with.
enum class Fusion { gelu, gelu_backward, row_sums };

class Kernels {
 public:
  virtual ~Kernels() = default;
  virtual Place place() const = 0;
  virtual bool supports(Dtype dtype) const = 0;
  /// Whether matmul reads operands of this 16-bit dtype itself; the op widens them where not.
  virtual bool takes_operands(Dtype dtype) const;

  /// Whether norms, activations and the loss's gradient round to outputs of this 16-bit dtype.
  /// Then activations read inputs of it too, if their outputs are of it.
  virtual bool rounds_outputs(Dtype dtype) const;
  /// Whether matmul rounds its result to this 16-bit dtype for operands of that one.
  virtual bool rounds_products(Dtype result, Dtype operands) const;
  /// Bytes of scratch that the call of that name wants; rounded up by the arena.
  virtual std::size_t attention_scratch_bytes(const AttentionShape& shape, bool backward) const;
  virtual std::size_t rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const;
  virtual std::size_t sum_scratch_bytes(std::int64_t count) const;
  /// Of partial sums of columns: `width` floats for each stretch of rows.
  virtual std::size_t column_sums_scratch_bytes(std::int64_t rows, std::int64_t width) const;
  virtual std::size_t matmul_scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                                           const MatmulOptions& options, bool is_weight);

  /// Host bytes to a contiguous tensor, and a tensor of any strides to row-major host bytes.
  /// `values` may be reused at return; `to`, which `keep` keeps alive, is there in stream order.
  virtual void upload(const Tensor& out, std::span<const std::byte> values) = 0;
  virtual void download(const Tensor& in, std::byte* to,
                        const std::shared_ptr<const void>& keep) = 0;

  virtual void fill(const Tensor& out, const double& value) = 0;
  virtual void copy(const Tensor& out, const Tensor& in) = 0;
  virtual void add(const Tensor& out, const Tensor& a, const Tensor& b) = 0;
  virtual void scale_by(const Tensor& inout, const Tensor& factor) = 0;
  /// Sum of the elements, or of their squares.
  virtual void sum(const Tensor& out, const Tensor& in, const bool& squares, const Write& write,
                   const Tensor& scratch) = 0;
  virtual void sum_in_order(const Tensor& out, const Tensor& in) = 0;
  virtual void sum_squares_by_block(const Tensor& out, const Tensor& in,
                                    const std::int64_t& block) = 0;
  /// weight_version: of the Parameter that b is, or 0.
  virtual void matmul(const Tensor& c, const Tensor& a, const Tensor& b,
                      const MatmulOptions& options, const std::uint64_t& weight_version,
                      const Tensor& scratch) = 0;
  /// Scratch of matmul_fused; nothing: these are several calls on this back end.
  virtual std::optional<std::size_t> fused_scratch_bytes(Fusion fusion, const Tensor& c,
                                                         const Tensor& with, const Tensor& a,
                                                         const Tensor& b,
                                                         const MatmulOptions& options);
  /// gelu: c is the product, `with` becomes its activation. gelu_backward: c becomes the product
  /// times the slope of gelu at `with`. row_sums: the sums of op(a)'s rows are added to `with`.
  virtual void matmul_fused(const Fusion& fusion, const Tensor& c, const Tensor& with,
                            const Tensor& a, const Tensor& b, const MatmulOptions& options,
                            const Tensor& scratch);
  virtual void embedding_forward(const Tensor& x, const Tensor& tokens, const Tensor& table,
                                 const std::int64_t& vocab_begin, const Write& write) = 0;
  virtual void embedding_backward(const Tensor& grad_table, const Tensor& grad_x,
                                  const Tensor& tokens, const std::int64_t& vocab_begin) = 0;
  virtual void rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                                const Tensor& weight, const float& eps) = 0;
  virtual void rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y, const Tensor& x,
                                       const Tensor& weight, const Tensor& inv_rms,
                                       const Write& write) = 0;
  virtual void rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y,
                                        const Tensor& x, const Tensor& inv_rms,
                                        const Tensor& scratch) = 0;
  virtual void layer_norm_forward(const Tensor& y, const Tensor& statistics, const Tensor& x,
                                  const Tensor& weight, const Tensor& bias, const float& eps) = 0;
  virtual void layer_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y,
                                         const Tensor& x, const Tensor& weight,
                                         const Tensor& statistics, const Write& write) = 0;
  virtual void layer_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_bias,
                                          const Tensor& grad_y, const Tensor& x,
                                          const Tensor& statistics, const Tensor& scratch) = 0;
  virtual void gelu_forward(const Tensor& out, const Tensor& x) = 0;
  virtual void gelu_backward(const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) = 0;
  virtual void add_column_sums(const Tensor& out, const Tensor& in, const Tensor& scratch) = 0;
  virtual void rope(const Tensor& out, const Tensor& x, const Tensor& positions,
                    const RopeOptions& options) = 0;
  virtual void swiglu_forward(const Tensor& out, const Tensor& gate, const Tensor& up) = 0;
  virtual void swiglu_backward(const Tensor& grad_gate, const Tensor& grad_up,
                               const Tensor& grad_out, const Tensor& gate, const Tensor& up) = 0;
  virtual void attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q,
                                 const Tensor& k, const Tensor& v, const AttentionShape& shape,
                                 const Tensor& scratch) = 0;
  virtual void attention_merge(const Tensor& out, const Tensor& lse, const Tensor& other_out,
                               const Tensor& other_lse, const AttentionShape& shape) = 0;
  virtual void attention_backward(const Tensor& grad_q, const Tensor& grad_k, const Tensor& grad_v,
                                  const Tensor& grad_out, const Tensor& q, const Tensor& k,
                                  const Tensor& v, const Tensor& out, const Tensor& lse,
                                  const AttentionShape& shape, const Write& write,
                                  const Tensor& scratch) = 0;
  virtual void cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                                 const VocabShard& shard) = 0;
  virtual void cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit,
                                 const Tensor& logits, const Tensor& row_max, const Tensor& targets,
                                 const VocabShard& shard) = 0;
  virtual void cross_entropy_loss(const Tensor& loss, const Tensor& row_max, const Tensor& row_sum,
                                  const Tensor& target_logit, const Tensor& targets) = 0;
  virtual void cross_entropy_gradient(const Tensor& grad_logits, const Tensor& logits,
                                      const Tensor& row_max, const Tensor& row_sum,
                                      const Tensor& targets, const Tensor& scale,
                                      const VocabShard& shard) = 0;
  virtual void clip_factor(const Tensor& factor, const Tensor& found_inf, const Tensor& squares,
                           const float& max_norm) = 0;
  virtual void adamw(const AdamwState& state, const Tensor& gradient, const AdamwScalars& scalars,
                     const AdamwSettings& settings) = 0;
  virtual void quantise_update(const QuantiseOutputs& out, const QuantiseInputs& in,
                               const QuantiseSettings& settings) = 0;
};

inline bool Kernels::takes_operands(Dtype) const { return false; }
inline bool Kernels::rounds_outputs(Dtype) const { return false; }
inline bool Kernels::rounds_products(Dtype, Dtype) const { return false; }
inline std::size_t Kernels::attention_scratch_bytes(const AttentionShape&, bool) const { return 0; }
inline std::size_t Kernels::rms_norm_scratch_bytes(std::int64_t, std::int64_t) const { return 0; }
inline std::size_t Kernels::column_sums_scratch_bytes(std::int64_t, std::int64_t) const {
  return 0;
}
inline std::size_t Kernels::sum_scratch_bytes(std::int64_t) const { return 0; }
inline std::size_t Kernels::matmul_scratch_bytes(const Tensor&, const Tensor&, const Tensor&,
                                                 const MatmulOptions&, bool) {
  return 0;
}

inline std::optional<std::size_t> Kernels::fused_scratch_bytes(Fusion, const Tensor&, const Tensor&,
                                                               const Tensor&, const Tensor&,
                                                               const MatmulOptions&) {
  return std::nullopt;
}
inline void Kernels::matmul_fused(const Fusion&, const Tensor&, const Tensor&, const Tensor&,
                                  const Tensor&, const MatmulOptions&, const Tensor&) {
  CONCORDAT_REQUIRE(false, "a back end that fuses nothing");
}

}  // namespace concordat::device
