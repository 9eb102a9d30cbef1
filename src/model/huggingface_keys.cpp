#include "model/huggingface_keys.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "concordat/model/errors.hpp"

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

}  // namespace

[[noreturn]] void unsupported(const std::string& where, std::string found, std::string expected) {
  throw Error(errors::unsupported,
              {.what = "the model asks for something that this program does not compute",
               .where = where,
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "import a model without it; if the key changes nothing in the network, "
                         "remove it from a copy of the file"});
}

const JsonValue* HuggingFaceKeys::find(std::string_view key) const {
  const JsonValue* value = root_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::int64_t HuggingFaceKeys::count(std::string_view key,
                                    std::optional<std::int64_t> fallback) const {
  const JsonValue* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  const std::int64_t number =
      value == nullptr ? root_.at(key, where_).integer(at(key)) : value->integer(at(key));
  if (number < 1 || number > std::numeric_limits<std::int32_t>::max()) {
    unsupported(at(key), std::to_string(number), "a whole number from 1 to 2147483647");
  }
  return number;
}

float HuggingFaceKeys::real(std::string_view key, float fallback) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return fallback;
  const auto number = static_cast<float>(value->real(at(key)));
  if (!std::isfinite(number)) unsupported(at(key), value->described(), "a finite number");
  return number;
}

bool HuggingFaceKeys::flag(std::string_view key, bool fallback) const {
  const JsonValue* value = find(key);
  return value == nullptr ? fallback : value->boolean(at(key));
}

std::string HuggingFaceKeys::text(std::string_view key, std::string_view fallback) const {
  const JsonValue* value = find(key);
  return std::string(value == nullptr ? fallback : value->text(at(key)));
}

void HuggingFaceKeys::require_flag(std::string_view key, bool wanted, bool fallback) const {
  if (flag(key, fallback) == wanted) return;
  unsupported(at(key), wanted ? "false" : "true", wanted ? "true" : "false");
}

void HuggingFaceKeys::refuse_unknown(std::span<const std::string_view> mapped) const {
  const auto listed = [](std::span<const std::string_view> list, std::string_view key) {
    return std::find(list.begin(), list.end(), key) != list.end();
  };
  for (const auto& [key, value] : root_.members(where_)) {
    if (value.is_null() || listed(neutral_keys, key) || listed(mapped, key)) continue;
    unsupported(at(key), value.described(), "no such key: it is not known to change nothing");
  }
}

std::string real_text(float value) {
  std::array<char, 40> text{};
  const bool plain = value >= 1e-3F && value < 1e9F;
  const auto done = std::to_chars(text.data(), text.data() + text.size(), value,
                                  plain ? std::chars_format::fixed : std::chars_format::general);
  std::string out(text.data(), done.ptr);
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

void HuggingFaceText::key(std::string_view name, const std::string& value) {
  text_.append(text_.size() > 1 ? ",\n  \"" : "\n  \"").append(name).append("\": ").append(value);
}

}  // namespace concordat::model
