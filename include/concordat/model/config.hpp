// What a model is: its family and its sizes.
//
//   ModelConfig config{.vocab = 257, .width = 128, .layers = 4, .heads = 4, .kv_heads = 4,
//                      .ffn = 384};
//   config.validate();
//   config.num_parameters();                        // 918,912
//   flops_per_token(config, GlobalLength(128));
//   traits_of(Family::gpt2).biases;                 // true
//
// A family is nothing but its traits: layers ask for a trait, never for a family. Names of tensors
// (names.hpp) and foreign formats (huggingface.hpp) are what else a family has.
#pragma once

#include <cstdint>
#include <string_view>

#include "concordat/model/length.hpp"

namespace concordat::model {

enum class Family : std::uint8_t { llama, gpt2 };

/// "llama", "gpt2".
std::string_view name_of(Family family);
/// @throws Error(model.bad_config) for another name.
Family family_named(std::string_view name);

/// What distinguishes the families' pre-norm decoders.
struct Traits {
  bool layer_norm = false;         ///< LayerNorm with a bias; false: RMSNorm
  bool biases = false;             ///< every linear layer but the head adds one
  bool learned_positions = false;  ///< a table of positions; false: rotary
  bool gated = false;              ///< SwiGLU; false: GELU in its tanh form
};
Traits traits_of(Family family);

struct ModelConfig {
  Family family = Family::llama;
  std::int64_t vocab = 0;
  std::int64_t width = 0;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;  ///< gpt2: as many as heads
  std::int64_t ffn = 0;
  std::int64_t positions = 0;  ///< rows of the table of positions: gpt2 alone
  float rope_base = 10000.0F;  ///< llama alone
  float norm_eps = 1e-5F;
  bool tied = false;  ///< the head is the table of tokens
  float init_stddev = 0.02F;

  Traits traits() const { return traits_of(family); }
  std::int64_t head_dim() const { return width / heads; }
  std::int64_t kv_width() const { return head_dim() * kv_heads; }
  std::int64_t num_parameters() const;
  /// @throws Error(model.bad_config) naming the key, the value found and what would fit.
  void validate() const;
  /// Whether sequences of this length can be computed: learned positions end somewhere.
  /// @throws Error(model.bad_config) naming both keys.
  void require_length(GlobalLength length) const;
  bool operator==(const ModelConfig&) const = default;
};

/// Parameters of one block, or of the part of it that a rank of `tp` holds: for counting memory.
std::int64_t block_parameters(const ModelConfig& config, int tp = 1);

/// Model FLOPs of forward and backward per token: 6 N + 12 layers * width * length, N without the
/// tables of tokens and positions (look-ups) but with the head. Attention counts the full square,
/// as PaLM does.
double flops_per_token(const ModelConfig& config, GlobalLength length);

}  // namespace concordat::model
