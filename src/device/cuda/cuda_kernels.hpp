// The kernels of the `cuda` back end, of one stream. Each call launches and returns; the stream
// keeps the order. Every result depends on shapes and inputs alone: no atomic additions.
#pragma once

#include <cuda_runtime.h>

#include "device/kernels.hpp"

namespace concordat::device::cuda {

class CudaStream;
class Device;

class CudaKernels final : public Kernels {
 public:
  CudaKernels(CudaStream& stream, Device& device) : owner_(stream), device_(device) {}
  Place place() const override { return Place::device; }
  bool supports(Dtype dtype) const override { return dtype == Dtype::f32; }
  bool takes_operands(Dtype dtype) const override { return narrow(dtype); }
  bool rounds_outputs(Dtype dtype) const override { return narrow(dtype); }
  bool rounds_products(Dtype result, Dtype operands) const override {
    return narrow(result) && result == operands;
  }
  std::size_t attention_scratch_bytes(const AttentionShape& shape, bool backward) const override;
  std::size_t rms_norm_scratch_bytes(std::int64_t rows, std::int64_t width) const override;
  std::size_t sum_scratch_bytes(std::int64_t count) const override;
  std::size_t column_sums_scratch_bytes(std::int64_t rows, std::int64_t width) const override;
  std::size_t matmul_scratch_bytes(const Tensor& c, const Tensor& a, const Tensor& b,
                                   const MatmulOptions& options, bool is_weight) override;

  void upload(const Tensor& out, std::span<const std::byte> values) override;
  void download(const Tensor& in, std::byte* to, const std::shared_ptr<const void>& keep) override;
  void fill(const Tensor& out, const double& value) override;
  void copy(const Tensor& out, const Tensor& in) override;
  void add(const Tensor& out, const Tensor& a, const Tensor& b) override;
  void scale_by(const Tensor& inout, const Tensor& factor) override;
  void sum(const Tensor& out, const Tensor& in, const bool& squares, const Write& write,
           const Tensor& scratch) override;
  void sum_in_order(const Tensor& out, const Tensor& in) override;
  void sum_squares_by_block(const Tensor& out, const Tensor& in,
                            const std::int64_t& block) override;
  void matmul(const Tensor& c, const Tensor& a, const Tensor& b, const MatmulOptions& options,
              const std::uint64_t& weight_version, const Tensor& scratch) override;
  std::optional<std::size_t> fused_scratch_bytes(Fusion fusion, const Tensor& c, const Tensor& with,
                                                 const Tensor& a, const Tensor& b,
                                                 const MatmulOptions& options) override;
  void matmul_fused(const Fusion& fusion, const Tensor& c, const Tensor& with, const Tensor& a,
                    const Tensor& b, const MatmulOptions& options, const Tensor& scratch) override;
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
  void attention_merge(const Tensor& out, const Tensor& lse, const Tensor& other_out,
                       const Tensor& other_lse, const AttentionShape& shape) override;
  void attention_backward(const Tensor& grad_q, const Tensor& grad_k, const Tensor& grad_v,
                          const Tensor& grad_out, const Tensor& q, const Tensor& k, const Tensor& v,
                          const Tensor& out, const Tensor& lse, const AttentionShape& shape,
                          const Write& write, const Tensor& scratch) override;
  void cross_entropy_max(const Tensor& row_max, const Tensor& logits,
                         const VocabShard& shard) override;
  void cross_entropy_sum(const Tensor& row_sum, const Tensor& target_logit, const Tensor& logits,
                         const Tensor& row_max, const Tensor& targets,
                         const VocabShard& shard) override;
  void cross_entropy_loss(const Tensor& loss, const Tensor& row_max, const Tensor& row_sum,
                          const Tensor& target_logit, const Tensor& targets) override;
  void cross_entropy_gradient(const Tensor& grad_logits, const Tensor& logits,
                              const Tensor& row_max, const Tensor& row_sum, const Tensor& targets,
                              const Tensor& scale, const VocabShard& shard) override;
  void clip_factor(const Tensor& factor, const Tensor& found_inf, const Tensor& squares,
                   const float& max_norm) override;
  void adamw(const AdamwState& state, const Tensor& gradient, const AdamwScalars& scalars,
             const AdamwSettings& settings) override;
  void quantise_update(const QuantiseOutputs& out, const QuantiseInputs& in,
                       const QuantiseSettings& settings) override;

 private:
  static bool narrow(Dtype dtype) { return dtype == Dtype::bf16 || dtype == Dtype::f16; }
  cudaStream_t stream() const;
  /// c = result (rounded) + bias + residual, each where it is there.
  void finish_product(const Tensor& c, const Tensor& result, const Tensor& bias,
                      const Tensor& residual);

  /// Where the operands may be rounded (AttentionShape::rounds_to): on tensor cores.
  void narrow_attention_forward(const Tensor& out, const Tensor& lse, const Tensor& q,
                                const Tensor& k, const Tensor& v, const AttentionShape& shape);
  /// delta: [batch * q_length, heads], grad_out . out.
  void narrow_attention_backward(const Tensor& grad_q, const Tensor& grad_k, const Tensor& grad_v,
                                 const Tensor& grad_out, const Tensor& q, const Tensor& k,
                                 const Tensor& v, const Tensor& lse, const Tensor& delta,
                                 const AttentionShape& shape, const Write& write);

  CudaStream& owner_;
  Device& device_;
};

}  // namespace concordat::device::cuda
