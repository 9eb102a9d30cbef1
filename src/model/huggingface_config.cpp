#include "concordat/model/errors.hpp"
#include "model/huggingface_keys.hpp"

namespace concordat::model {

HuggingFaceModel read_huggingface_config(std::string_view text, std::string_view where) {
  const std::string place(where);
  const JsonValue root = JsonValue::parse(text, place);
  const HuggingFaceKeys keys(root, place);
  const JsonValue& type = root.at("model_type", place);
  const std::string& family = type.text(keys.at("model_type"));
  if (family == name_of(Family::llama)) return read_llama(keys);
  if (family == name_of(Family::gpt2)) return read_gpt2(keys);
  unsupported(keys.at("model_type"), type.described(), "\"llama\" or \"gpt2\"");
}

std::string huggingface_config(const HuggingFaceModel& model) {
  return model.config.family == Family::llama ? llama_text(model) : gpt2_text(model);
}

namespace {

/// One key of the model: ours, Hugging Face's, and its value as text.
struct NamedValue {
  std::string_view ours, theirs;
  std::string value;
};

/// What both the configuration and a folder say, in the order of the [model] section.
std::vector<NamedValue> named_values(const ModelConfig& c) {
  const bool llama = c.family == Family::llama;
  const auto pick = [&](std::string_view first, std::string_view second) {
    return llama ? first : second;
  };
  std::vector<NamedValue> values{
      {"vocab", "vocab_size", std::to_string(c.vocab)},
      {"width", pick("hidden_size", "n_embd"), std::to_string(c.width)},
      {"layers", pick("num_hidden_layers", "n_layer"), std::to_string(c.layers)},
      {"heads", pick("num_attention_heads", "n_head"), std::to_string(c.heads)}};
  if (llama) values.push_back({"kv_heads", "num_key_value_heads", std::to_string(c.kv_heads)});
  values.push_back({"ffn", pick("intermediate_size", "n_inner"), std::to_string(c.ffn)});
  if (llama) {
    values.push_back({"rope_base", "rope_theta", real_text(c.rope_base)});
  } else {
    values.push_back({"positions", "n_positions", std::to_string(c.positions)});
  }
  values.push_back({"norm_eps", pick("rms_norm_eps", "layer_norm_epsilon"), real_text(c.norm_eps)});
  values.push_back({"tied", "tie_word_embeddings", c.tied ? "true" : "false"});
  return values;
}

[[noreturn]] void another_model(std::string_view where, const NamedValue& ours,
                                const std::string& found) {
  throw Error(errors::bad_import,
              {.what = "the folder's model is not the one that the configuration asks for",
               .where = std::string(where) + ": " + std::string(ours.theirs),
               .found = found,
               .expected = "model." + std::string(ours.ours) + " = " + ours.value,
               .remedy = "take the [model] section that 'concordat import FOLDER' prints"});
}

}  // namespace

std::string model_section(const ModelConfig& c) {
  std::string out = "[model]\nfamily = \"" + std::string(name_of(c.family)) + "\"\n";
  const auto key = [&](std::string_view name, const std::string& value) {
    out.append(name).append(" = ").append(value).append("\n");
  };
  for (const NamedValue& each : named_values(c)) key(each.ours, each.value);
  key("init_stddev", real_text(c.init_stddev));
  return out;
}

void require_same_model(const ModelConfig& wanted, const ModelConfig& found,
                        std::string_view where) {
  if (wanted.family != found.family) {
    another_model(where, {"family", "model_type", std::string(name_of(wanted.family))},
                  std::string(name_of(found.family)));
  }
  const auto ours = named_values(wanted);
  const auto theirs = named_values(found);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].value != theirs[i].value) another_model(where, ours[i], theirs[i].value);
  }
}

}  // namespace concordat::model
