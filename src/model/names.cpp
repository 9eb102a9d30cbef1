#include "concordat/model/names.hpp"

namespace concordat::model {

namespace {

constexpr Names llama{.tokens = "model.embed_tokens",
                      .positions = {},
                      .layers = "model.layers.",
                      .attention_norm = "input_layernorm",
                      .query = "self_attn.q_proj",
                      .key = "self_attn.k_proj",
                      .value = "self_attn.v_proj",
                      .output = "self_attn.o_proj",
                      .mlp_norm = "post_attention_layernorm",
                      .gate = "mlp.gate_proj",
                      .up = "mlp.up_proj",
                      .down = "mlp.down_proj",
                      .final_norm = "model.norm",
                      .head = "lm_head"};

constexpr Names gpt2{.tokens = "transformer.wte",
                     .positions = "transformer.wpe",
                     .layers = "transformer.h.",
                     .attention_norm = "ln_1",
                     .query = "attn.q_proj",
                     .key = "attn.k_proj",
                     .value = "attn.v_proj",
                     .output = "attn.c_proj",
                     .mlp_norm = "ln_2",
                     .gate = {},
                     .up = "mlp.c_fc",
                     .down = "mlp.c_proj",
                     .final_norm = "transformer.ln_f",
                     .head = "lm_head"};

}  // namespace

const Names& names_of(Family family) { return family == Family::llama ? llama : gpt2; }

}  // namespace concordat::model
