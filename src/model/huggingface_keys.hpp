// What the readers and writers of config.json share: typed access to keys, and refusals that name
// them.
#pragma once

#include <span>

#include "concordat/core/json_value.hpp"
#include "concordat/model/huggingface.hpp"

namespace concordat::model {

/// @throws Error(model.unsupported) always.
[[noreturn]] void unsupported(const std::string& where, std::string found, std::string expected);

/// The keys of one file. A null is an absent key.
class HuggingFaceKeys {
 public:
  /// `root` must outlive this.
  HuggingFaceKeys(const JsonValue& root, std::string where)
      : root_(root), where_(std::move(where)) {}
  std::string at(std::string_view key) const { return where_ + ": " + std::string(key); }
  const JsonValue* find(std::string_view key) const;
  std::int64_t count(std::string_view key, std::optional<std::int64_t> fallback = {}) const;
  float real(std::string_view key, float fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  void require_flag(std::string_view key, bool wanted, bool fallback) const;
  /// Refuses every key that neither stands in `mapped` nor is known to change nothing.
  void refuse_unknown(std::span<const std::string_view> mapped) const;

 private:
  const JsonValue& root_;
  std::string where_;
};

/// The shortest text that reads back as this float, as a JSON (and TOML) real.
std::string real_text(float value);

/// Writes "key": value lines; values are JSON already.
class HuggingFaceText {
 public:
  void key(std::string_view name, const std::string& value);
  std::string take() { return text_ + "\n}\n"; }

 private:
  std::string text_ = "{";
};

HuggingFaceModel read_llama(const HuggingFaceKeys& keys);
HuggingFaceModel read_gpt2(const HuggingFaceKeys& keys);
std::string llama_text(const HuggingFaceModel& model);
std::string gpt2_text(const HuggingFaceModel& model);

}  // namespace concordat::model
