// config.json of the gpt2 family.
#include <algorithm>

#include "concordat/model/errors.hpp"
#include "model/huggingface_keys.hpp"

namespace concordat::model {
namespace {

constexpr std::string_view dropouts[] = {"resid_pdrop", "embd_pdrop", "attn_pdrop"};

constexpr std::string_view mapped_keys[] = {
    "vocab_size", "n_embd", "n_layer", "n_head", "n_inner", "n_positions", "n_ctx",
    "layer_norm_epsilon", "tie_word_embeddings", "model_type", "activation_function",
    "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "add_cross_attention",
    // Dropout in training, which this program does not have: HuggingFaceModel::dropout.
    "resid_pdrop", "embd_pdrop", "attn_pdrop",
    // Attention is in fp32 here whatever this says.
    "reorder_and_upcast_attn",
    // Of a classifying head, which a language model does not have.
    "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
    "summary_use_proj", "n_special", "predict_special_tokens"};

void refuse_what_is_not_built(const HuggingFaceKeys& keys, const ModelConfig& config) {
  const std::string activation = keys.text("activation_function", "gelu_new");
  if (activation != "gelu_new" && activation != "gelu_pytorch_tanh") {
    unsupported(keys.at("activation_function"), "\"" + activation + "\"",
                "\"gelu_new\" or \"gelu_pytorch_tanh\"");
  }
  keys.require_flag("scale_attn_weights", true, true);
  keys.require_flag("scale_attn_by_inverse_layer_idx", false, false);
  keys.require_flag("add_cross_attention", false, false);
  keys.flag("reorder_and_upcast_attn", false);
  const std::int64_t context = keys.count("n_ctx", config.positions);
  if (context != config.positions) {
    unsupported(keys.at("n_ctx"), std::to_string(context),
                "n_positions = " + std::to_string(config.positions));
  }
}

float read_dropout(const HuggingFaceKeys& keys) {
  float largest = 0.0F;
  for (const std::string_view key : dropouts) {
    const float rate = keys.real(key, 0.1F);
    if (rate < 0.0F || rate >= 1.0F) {
      unsupported(keys.at(key), std::to_string(rate), "from 0 to below 1");
    }
    largest = std::max(largest, rate);
  }
  return largest;
}

}  // namespace

HuggingFaceModel read_gpt2(const HuggingFaceKeys& keys) {
  keys.refuse_unknown(mapped_keys);
  // Defaults are those of the format's own reader.
  ModelConfig config{.family = Family::gpt2,
                     .vocab = keys.count("vocab_size", 50257),
                     .width = keys.count("n_embd", 768),
                     .layers = static_cast<int>(keys.count("n_layer", 12)),
                     .heads = static_cast<int>(keys.count("n_head", 12)),
                     .positions = keys.count("n_positions", 1024),
                     .norm_eps = keys.real("layer_norm_epsilon", 1e-5F),
                     .tied = keys.flag("tie_word_embeddings", true),
                     .init_stddev = keys.real("initializer_range", 0.02F)};
  config.kv_heads = config.heads;
  config.ffn = keys.count("n_inner", 4 * config.width);
  config.validate();
  refuse_what_is_not_built(keys, config);
  return {.config = config, .max_length = config.positions, .dropout = read_dropout(keys)};
}

std::string gpt2_text(const HuggingFaceModel& model) {
  const ModelConfig& c = model.config;
  const std::string separator = model.separator ? std::to_string(*model.separator) : "null";
  HuggingFaceText out;
  const auto key = [&](std::string_view name, const std::string& value) { out.key(name, value); };
  key("activation_function", "\"gelu_new\"");
  key("architectures", "[\"GPT2LMHeadModel\"]");
  key("attn_pdrop", "0.0");
  key("bos_token_id", separator);
  key("embd_pdrop", "0.0");
  key("eos_token_id", separator);
  key("initializer_range", real_text(c.init_stddev));
  key("layer_norm_epsilon", real_text(c.norm_eps));
  key("model_type", "\"gpt2\"");
  key("n_embd", std::to_string(c.width));
  key("n_head", std::to_string(c.heads));
  key("n_inner", std::to_string(c.ffn));
  key("n_layer", std::to_string(c.layers));
  key("n_positions", std::to_string(c.positions));
  key("reorder_and_upcast_attn", "false");
  key("resid_pdrop", "0.0");
  key("scale_attn_by_inverse_layer_idx", "false");
  key("scale_attn_weights", "true");
  key("tie_word_embeddings", c.tied ? "true" : "false");
  key("torch_dtype", model.dtype == Dtype::bf16 ? "\"bfloat16\"" : "\"float32\"");
  key("use_cache", "true");
  key("vocab_size", std::to_string(c.vocab));
  return out.take();
}

}  // namespace concordat::model
