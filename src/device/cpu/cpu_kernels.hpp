// The kernels of the `cpu` back end. What is not overridden runs as in the reference; all outputs
// are equal run to run at the same thread count and instruction set.
#pragma once

#include "device/cpu/products.hpp"
#include "device/cpu/rope_table.hpp"
#include "device/reference/reference_kernels.hpp"

namespace concordat::device {

class CpuKernels final : public ReferenceKernels {
 public:
  bool supports(Dtype dtype) const override { return dtype == Dtype::f32; }
  bool takes_operands(Dtype dtype) const override {
    return dtype == Dtype::bf16 && Products::multiplies_bf16();
  }
  const Products& products() const { return products_; }
  bool rounds_outputs(Dtype dtype) const override { return dtype == Dtype::bf16; }
  bool rounds_products(Dtype result, Dtype operands) const override {
    return result == Dtype::bf16 && operands == Dtype::bf16 && Products::uses_tiles();
  }
  std::size_t attention_scratch_bytes(const AttentionShape& shape, bool backward) const override;
  std::size_t rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const override;
  std::size_t sum_scratch_bytes(std::int64_t count) const override;
  std::size_t column_sums_scratch_bytes(std::int64_t rows, std::int64_t width) const override;
  std::size_t matmul_scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                                   const MatmulOptions& options, bool is_weight) override;

  void fill(const Tensor& out, const double& value) override;
  void copy(const Tensor& out, const Tensor& in) override;
  void add(const Tensor& out, const Tensor& a, const Tensor& b) override;
  void scale_by(const Tensor& inout, const Tensor& factor) override;
  void sum(const Tensor& out, const Tensor& in, const bool& squares, const Write& write,
           const Tensor& scratch) override;
  void sum_squares_by_block(const Tensor& out, const Tensor& in,
                            const std::int64_t& block) override;
  void matmul(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options,
              const std::uint64_t& weight_version, const Tensor& scratch) override;
  void embedding_forward(const Tensor& x, const Tensor& tokens, const Tensor& table,
                         const std::int64_t& vocab_begin, const Write& write) override;
  void embedding_backward(const Tensor& grad_table, const Tensor& grad_x, const Tensor& tokens,
                          const std::int64_t& vocab_begin) override;
  void rms_norm_forward(const Tensor& y, const Tensor& inv_rms, const Tensor& x,
                        const Tensor& weight, const float& eps) override;
  void rms_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y, const Tensor& x,
                               const Tensor& weight, const Tensor& inv_rms,
                               const Write& write) override;
  void rms_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_y, const Tensor& x,
                                const Tensor& inv_rms, const Tensor& scratch) override;
  void layer_norm_forward(const Tensor& y, const Tensor& statistics, const Tensor& x,
                          const Tensor& weight, const Tensor& bias, const float& eps) override;
  void layer_norm_backward_input(const Tensor& grad_x, const Tensor& grad_y, const Tensor& x,
                                 const Tensor& weight, const Tensor& statistics,
                                 const Write& write) override;
  void layer_norm_backward_weight(const Tensor& grad_weight, const Tensor& grad_bias,
                                  const Tensor& grad_y, const Tensor& x, const Tensor& statistics,
                                  const Tensor& scratch) override;
  void gelu_forward(const Tensor& out, const Tensor& x) override;
  void gelu_backward(const Tensor& grad_x, const Tensor& grad_out, const Tensor& x) override;
  void add_column_sums(const Tensor& out, const Tensor& in, const Tensor& scratch) override;
  void rope(const Tensor& out, const Tensor& x, const Tensor& positions,
            const RopeOptions& options) override;
  void swiglu_forward(const Tensor& out, const Tensor& gate, const Tensor& up) override;
  void swiglu_backward(const Tensor& grad_gate, const Tensor& grad_up, const Tensor& grad_out,
                       const Tensor& gate, const Tensor& up) override;
  void attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q, const Tensor& k,
                         const Tensor& v, const AttentionShape& shape,
                         const Tensor& scratch) override;
  void attention_backward(const Tensor& grad_q, const Tensor& grad_k, const Tensor& grad_v,
                          const Tensor& grad_out, const Tensor& q, const Tensor& k, const Tensor& v,
                          const Tensor& out, const Tensor& lse, const AttentionShape& shape,
                          const Write& write, const Tensor& scratch) override;
  void cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                         const VocabShard& shard) override;
  void cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit, const Tensor& logits,
                         const Tensor& row_max, const Tensor& targets,
                         const VocabShard& shard) override;
  void cross_entropy_gradient(const Tensor& grad_logits, const Tensor& logits,
                              const Tensor& row_max, const Tensor& row_sum, const Tensor& targets,
                              const Tensor& scale, const VocabShard& shard) override;
  void adamw(const AdamwState& state, const Tensor& gradient, const AdamwScalars& scalars,
             const AdamwSettings& settings) override;

 private:
  Products products_;
  RopeTables rope_tables_;
};

}  // namespace concordat::device
