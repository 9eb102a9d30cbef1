#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "concordat/core/json_value.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/model/huggingface.hpp"

namespace concordat::model {
namespace {

/// Keys that say nothing about what the network computes: provenance, tokens' roles, defaults of
/// text generation, and how PyTorch should run it.
constexpr std::string_view neutral_keys[] = {"_attn_implementation_autoset",
                                             "_name_or_path",
                                             "add_cross_attention",
                                             "architectures",
                                             "bad_words_ids",
                                             "begin_suppress_tokens",
                                             "bos_token_id",
                                             "chunk_size_feed_forward",
                                             "decoder_start_token_id",
                                             "diversity_penalty",
                                             "do_sample",
                                             "dtype",
                                             "early_stopping",
                                             "encoder_no_repeat_ngram_size",
                                             "eos_token_id",
                                             "exponential_decay_length_penalty",
                                             "finetuning_task",
                                             "forced_bos_token_id",
                                             "forced_eos_token_id",
                                             "id2label",
                                             "initializer_range",
                                             "is_decoder",
                                             "is_encoder_decoder",
                                             "label2id",
                                             "length_penalty",
                                             "max_length",
                                             "min_length",
                                             "no_repeat_ngram_size",
                                             "num_beam_groups",
                                             "num_beams",
                                             "num_return_sequences",
                                             "output_attentions",
                                             "output_hidden_states",
                                             "output_scores",
                                             "pad_token_id",
                                             "prefix",
                                             "problem_type",
                                             "remove_invalid_values",
                                             "repetition_penalty",
                                             "return_dict",
                                             "return_dict_in_generate",
                                             "sep_token_id",
                                             "suppress_tokens",
                                             "task_specific_params",
                                             "temperature",
                                             "tf_legacy_loss",
                                             "tokenizer_class",
                                             "top_k",
                                             "top_p",
                                             "torch_dtype",
                                             "torchscript",
                                             "transformers_version",
                                             "typical_p",
                                             "unsloth_version",
                                             "use_bfloat16",
                                             "use_cache"};

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

[[noreturn]] void unsupported(const std::string& where, std::string found, std::string expected) {
  throw Error(errors::unsupported,
              {.what = "the model asks for something that this program does not compute",
               .where = where,
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "import a model without it; if the key changes nothing in the network, "
                         "remove it from a copy of the file"});
}

class Keys {
 public:
  Keys(const JsonValue& root, std::string where) : root_(root), where_(std::move(where)) {}
  std::string at(std::string_view key) const { return where_ + ": " + std::string(key); }
  const JsonValue* find(std::string_view key) const {
    const JsonValue* value = root_.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  std::int64_t count(std::string_view key, std::optional<std::int64_t> fallback = {}) const {
    const JsonValue* value = find(key);
    if (value == nullptr && fallback) return *fallback;
    const std::int64_t number =
        value == nullptr ? root_.at(key, where_).integer(at(key)) : value->integer(at(key));
    if (number < 1 || number > std::numeric_limits<std::int32_t>::max()) {
      unsupported(at(key), std::to_string(number), "a whole number from 1 to 2147483647");
    }
    return number;
  }
  float real(std::string_view key, float fallback) const {
    const JsonValue* value = find(key);
    if (value == nullptr) return fallback;
    const auto number = static_cast<float>(value->real(at(key)));
    if (!std::isfinite(number)) unsupported(at(key), value->described(), "a finite number");
    return number;
  }
  bool flag(std::string_view key, bool fallback) const {
    const JsonValue* value = find(key);
    return value == nullptr ? fallback : value->boolean(at(key));
  }

 private:
  const JsonValue& root_;
  std::string where_;
};

template <typename List>
bool listed(const List& list, std::string_view key) {
  return std::find(std::begin(list), std::end(list), key) != std::end(list);
}

/// Rotary positions as they are, without any stretching. Newer files keep the base in here.
void read_rope(const Keys& keys, LlamaConfig& config) {
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

void refuse_what_is_not_built(const Keys& keys, const LlamaConfig& config) {
  const JsonValue* activation = keys.find("hidden_act");
  if (activation != nullptr && activation->text(keys.at("hidden_act")) != "silu") {
    unsupported(keys.at("hidden_act"), activation->described(), "\"silu\"");
  }
  for (const std::string_view key : {"attention_bias", "mlp_bias"}) {
    if (keys.flag(key, false)) unsupported(keys.at(key), "true", "false");
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

/// The shortest text that reads back as this float, as a JSON real.
std::string real_text(float value) {
  std::array<char, 40> text{};
  const bool plain = value >= 1e-3F && value < 1e9F;
  const auto done = std::to_chars(text.data(), text.data() + text.size(), value,
                                  plain ? std::chars_format::fixed : std::chars_format::general);
  std::string out(text.data(), done.ptr);
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

}  // namespace

HuggingFaceModel read_huggingface_config(std::string_view text, std::string_view where) {
  const std::string place(where);
  const JsonValue root = JsonValue::parse(text, place);
  const Keys keys(root, place);
  const JsonValue& type = root.at("model_type", place);
  if (type.text(keys.at("model_type")) != "llama") {
    unsupported(keys.at("model_type"), type.described(), "\"llama\"");
  }
  for (const auto& [key, value] : root.members(place)) {
    if (value.is_null() || listed(neutral_keys, key) || listed(mapped_keys, key)) continue;
    unsupported(keys.at(key), value.described(), "no such key: it is not known to change nothing");
  }
  // Defaults are those of the format's own reader.
  LlamaConfig config{.vocab = keys.count("vocab_size"),
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

std::string huggingface_config(const HuggingFaceModel& model) {
  const LlamaConfig& c = model.config;
  const std::string separator = model.separator ? std::to_string(*model.separator) : "null";
  std::string out = "{\n  \"architectures\": [\"LlamaForCausalLM\"]";
  const auto key = [&](std::string_view name, const std::string& value) {
    out.append(",\n  \"").append(name).append("\": ").append(value);
  };
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
  return out + "\n}\n";
}

std::string model_section(const LlamaConfig& c) {
  std::string out = "[model]\n";
  const auto key = [&](std::string_view name, const std::string& value) {
    out.append(name).append(" = ").append(value).append("\n");
  };
  key("family", "\"llama\"");
  key("vocab", std::to_string(c.vocab));
  key("width", std::to_string(c.width));
  key("layers", std::to_string(c.layers));
  key("heads", std::to_string(c.heads));
  key("kv_heads", std::to_string(c.kv_heads));
  key("ffn", std::to_string(c.ffn));
  key("rope_base", real_text(c.rope_base));
  key("norm_eps", real_text(c.norm_eps));
  key("tied", c.tied ? "true" : "false");
  key("init_stddev", real_text(c.init_stddev));
  return out;
}

void require_same_model(const LlamaConfig& wanted, const LlamaConfig& found,
                        std::string_view where) {
  const auto same = [&](const char* key, const char* theirs, const std::string& ours,
                        const std::string& value) {
    if (ours == value) return;
    throw Error(errors::bad_import,
                {.what = "the folder's model is not the one that the configuration asks for",
                 .where = std::string(where) + ": " + theirs,
                 .found = value,
                 .expected = std::string(key) + " = " + ours,
                 .remedy = "take the [model] section that 'concordat import FOLDER' prints"});
  };
  same("model.vocab", "vocab_size", std::to_string(wanted.vocab), std::to_string(found.vocab));
  same("model.width", "hidden_size", std::to_string(wanted.width), std::to_string(found.width));
  same("model.layers", "num_hidden_layers", std::to_string(wanted.layers),
       std::to_string(found.layers));
  same("model.heads", "num_attention_heads", std::to_string(wanted.heads),
       std::to_string(found.heads));
  same("model.kv_heads", "num_key_value_heads", std::to_string(wanted.kv_heads),
       std::to_string(found.kv_heads));
  same("model.ffn", "intermediate_size", std::to_string(wanted.ffn), std::to_string(found.ffn));
  same("model.rope_base", "rope_theta", real_text(wanted.rope_base), real_text(found.rope_base));
  same("model.norm_eps", "rms_norm_eps", real_text(wanted.norm_eps), real_text(found.norm_eps));
  same("model.tied", "tie_word_embeddings", wanted.tied ? "true" : "false",
       found.tied ? "true" : "false");
}

}  // namespace concordat::model
