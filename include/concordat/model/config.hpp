// The llama family's configuration: RMSNorm, rotary positions, SwiGLU, grouped-query attention.
//
//   LlamaConfig config{.vocab = 257, .width = 128, .layers = 4, .heads = 4, .kv_heads = 4, .ffn =
//   384}; config.validate(); config.head_dim();          // 32 config.num_parameters();    //
//   918,912 flops_per_token(config, GlobalLength(128));
#pragma once

#include <cstdint>

#include "concordat/model/length.hpp"

namespace concordat::model {

struct LlamaConfig {
  std::int64_t vocab = 0;
  std::int64_t width = 0;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  std::int64_t ffn = 0;
  float rope_base = 10000.0F;
  float norm_eps = 1e-5F;
  bool tied = false;  ///< lm_head is embed_tokens
  float init_stddev = 0.02F;

  std::int64_t head_dim() const { return width / heads; }
  std::int64_t kv_width() const { return head_dim() * kv_heads; }
  std::int64_t num_parameters() const;
  /// @throws Error(model.bad_config) naming the key, the value found and what would fit.
  void validate() const;
  bool operator==(const LlamaConfig&) const = default;
};

/// Model FLOPs of forward and backward per token: 6 N + 12 layers * width * length, N without the
/// embedding table (a look-up) but with the head. Attention counts the full square, as PaLM does.
double flops_per_token(const LlamaConfig& config, GlobalLength length);

}  // namespace concordat::model
