// config.json of the llama family.
#include "concordat/model/errors.hpp"
#include "model/huggingface_keys.hpp"

namespace concordat::model {
namespace {

constexpr std::string_view mapped_keys[] = {"vocab_size",
                                            "hidden_size",
                                            "num_hidden_layers",
                                            "num_attention_heads",
                                            "num_key_value_heads",
                                            "intermediate_size",
                                            "rope_theta",
                                            "rms_norm_eps",
                                            "tie_word_embeddings",
                                            "max_position_embeddings",
                                            "model_type",
                                            "head_dim",
                                            "hidden_act",
                                            "attention_bias",
                                            "mlp_bias",
                                            "attention_dropout",
                                            "rope_scaling",
                                            "rope_parameters",
                                            "pretraining_tp"};

/// Rotary positions as they are, without any stretching. Newer files keep the base in here.
void read_rope(const HuggingFaceKeys& keys, ModelConfig& config) {
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    const JsonValue* rope = keys.find(key);
    if (rope == nullptr) continue;
    for (const auto& [name, value] : rope->members(keys.at(key))) {
      const std::string at = keys.at(key) + "." + name;
      if (name == "rope_theta") {
        config.rope_base = static_cast<float>(value.real(at));
      } else if (name != "rope_type" && name != "type") {
        unsupported(at, value.described(), "rope_type default and nothing else");
      } else if (value.text(at) != "default") {
        unsupported(at, value.described(), "\"default\"");
      }
    }
  }
}

void refuse_what_is_not_built(const HuggingFaceKeys& keys, const ModelConfig& config) {
  const JsonValue* activation = keys.find("hidden_act");
  if (activation != nullptr && activation->text(keys.at("hidden_act")) != "silu") {
    unsupported(keys.at("hidden_act"), activation->described(), "\"silu\"");
  }
  for (const std::string_view key : {"attention_bias", "mlp_bias"}) {
    keys.require_flag(key, false, false);
  }
  const float dropout = keys.real("attention_dropout", 0.0F);
  if (dropout != 0.0F) unsupported(keys.at("attention_dropout"), std::to_string(dropout), "0");
  const std::int64_t slices = keys.count("pretraining_tp", 1);
  if (slices != 1) unsupported(keys.at("pretraining_tp"), std::to_string(slices), "1");
  const std::int64_t head_dim = keys.count("head_dim", config.head_dim());
  if (head_dim != config.head_dim()) {
    unsupported(keys.at("head_dim"), std::to_string(head_dim),
                "hidden_size / num_attention_heads = " + std::to_string(config.head_dim()));
  }
}

}  // namespace

HuggingFaceModel read_llama(const HuggingFaceKeys& keys) {
  keys.refuse_unknown(mapped_keys);
  // Defaults are those of the format's own reader.
  ModelConfig config{.vocab = keys.count("vocab_size"),
                     .width = keys.count("hidden_size"),
                     .layers = static_cast<int>(keys.count("num_hidden_layers")),
                     .heads = static_cast<int>(keys.count("num_attention_heads")),
                     .ffn = keys.count("intermediate_size"),
                     .rope_base = keys.real("rope_theta", 10000.0F),
                     .norm_eps = keys.real("rms_norm_eps", 1e-6F),
                     .tied = keys.flag("tie_word_embeddings", false),
                     .init_stddev = keys.real("initializer_range", 0.02F)};
  config.kv_heads = static_cast<int>(keys.count("num_key_value_heads", config.heads));
  read_rope(keys, config);
  config.validate();
  refuse_what_is_not_built(keys, config);
  return {.config = config, .max_length = keys.count("max_position_embeddings", 2048)};
}

std::string llama_text(const HuggingFaceModel& model) {
  const ModelConfig& c = model.config;
  const std::string separator = model.separator ? std::to_string(*model.separator) : "null";
  HuggingFaceText out;
  const auto key = [&](std::string_view name, const std::string& value) { out.key(name, value); };
  key("architectures", "[\"LlamaForCausalLM\"]");
  key("attention_bias", "false");
  key("attention_dropout", "0.0");
  key("bos_token_id", separator);
  key("eos_token_id", separator);
  key("head_dim", std::to_string(c.head_dim()));
  key("hidden_act", "\"silu\"");
  key("hidden_size", std::to_string(c.width));
  key("initializer_range", real_text(c.init_stddev));
  key("intermediate_size", std::to_string(c.ffn));
  key("max_position_embeddings", std::to_string(model.max_length));
  key("mlp_bias", "false");
  key("model_type", "\"llama\"");
  key("num_attention_heads", std::to_string(c.heads));
  key("num_hidden_layers", std::to_string(c.layers));
  key("num_key_value_heads", std::to_string(c.kv_heads));
  key("rms_norm_eps", real_text(c.norm_eps));
  key("rope_theta", real_text(c.rope_base));
  key("tie_word_embeddings", c.tied ? "true" : "false");
  key("torch_dtype", model.dtype == Dtype::bf16 ? "\"bfloat16\"" : "\"float32\"");
  key("use_cache", "true");
  key("vocab_size", std::to_string(c.vocab));
  return out.take();
}

}  // namespace concordat::model
