// Parameter names of the llama family, as Hugging Face writes them.
//
//   names::in_layer(3, names::q_proj);    // "model.layers.3.self_attn.q_proj.weight"
#pragma once

#include <string>
#include <string_view>

namespace concordat::model::names {

inline constexpr std::string_view embed_tokens = "model.embed_tokens.weight";
inline constexpr std::string_view final_norm = "model.norm.weight";
inline constexpr std::string_view lm_head = "lm_head.weight";
inline constexpr std::string_view attention_norm = "input_layernorm.weight";
inline constexpr std::string_view q_proj = "self_attn.q_proj.weight";
inline constexpr std::string_view k_proj = "self_attn.k_proj.weight";
inline constexpr std::string_view v_proj = "self_attn.v_proj.weight";
inline constexpr std::string_view o_proj = "self_attn.o_proj.weight";
inline constexpr std::string_view mlp_norm = "post_attention_layernorm.weight";
inline constexpr std::string_view gate_proj = "mlp.gate_proj.weight";
inline constexpr std::string_view up_proj = "mlp.up_proj.weight";
inline constexpr std::string_view down_proj = "mlp.down_proj.weight";

inline std::string in_layer(int layer, std::string_view name) {
  return "model.layers." + std::to_string(layer) + "." + std::string(name);
}

}  // namespace concordat::model::names
