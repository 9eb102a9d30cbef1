// The schema of a configuration and typed access to a loaded one.
#include "concordat/core/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "concordat/core/error.hpp"
#include "core/config_text.hpp"

namespace concordat {
namespace {

/// Lines of at most 100 columns, indented.
void append_wrapped(std::string& text, std::string_view words) {
  constexpr std::size_t columns = 100;
  constexpr std::string_view new_line = "\n        ";
  std::size_t column = columns;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    const bool fits = column + 1 + word.size() <= columns;
    text += fits ? " " : new_line;
    text += word;
    column = (fits ? column + 1 : new_line.size() - 1) + word.size();
  }
  text += "\n";
}

}  // namespace

ConfigSchema& ConfigSchema::section(std::string name, const std::string& title) {
  section_ = title.empty() ? std::move(name) : name + ": " + title;
  return *this;
}

ConfigSchema& ConfigSchema::add(Key key) {
  CONCORDAT_REQUIRE(find(key.name) == nullptr, key.name);
  key.section = section_;
  keys_.push_back(std::move(key));
  return *this;
}

namespace {

template <typename T>
std::optional<ConfigValue> wrap(std::optional<T> value) {
  if (!value) return std::nullopt;
  return ConfigValue(std::move(*value));
}

}  // namespace

ConfigSchema& ConfigSchema::boolean(std::string name, std::optional<bool> fallback,
                                    std::string help) {
  return add({std::move(name), Kind::boolean, wrap(fallback), {}, {}, std::move(help), {}, {}, {}});
}

ConfigSchema& ConfigSchema::integer(std::string name, std::optional<std::int64_t> fallback,
                                    ValueRange<std::int64_t> range, std::string help) {
  ValueRange<double> bounds{static_cast<double>(range.low), static_cast<double>(range.high)};
  return add(
      {std::move(name), Kind::integer, wrap(fallback), bounds, {}, std::move(help), {}, {}, {}});
}

ConfigSchema& ConfigSchema::real(std::string name, std::optional<double> fallback,
                                 ValueRange<double> range, std::string help) {
  return add({std::move(name), Kind::real, wrap(fallback), range, {}, std::move(help), {}, {}, {}});
}

ConfigSchema& ConfigSchema::text(std::string name, std::optional<std::string> fallback,
                                 std::vector<std::string> choices, std::string help) {
  return add({std::move(name),
              Kind::text,
              wrap(std::move(fallback)),
              {},
              std::move(choices),
              std::move(help),
              {},
              {},
              {}});
}

ConfigSchema& ConfigSchema::list(std::string name, std::optional<std::vector<std::string>> fallback,
                                 std::string help) {
  return add({std::move(name),
              Kind::list,
              wrap(std::move(fallback)),
              {},
              {},
              std::move(help),
              {},
              {},
              {}});
}

ConfigSchema& ConfigSchema::only_with(std::string key, std::string value) {
  const Key* other = find(key);
  CONCORDAT_REQUIRE(other != nullptr && other->kind == Kind::text && other != &keys_.back(), key);
  keys_.back().with = {std::move(key), std::move(value)};
  return *this;
}

ConfigSchema& ConfigSchema::fallback_with(std::string key, std::string value,
                                          ConfigValue fallback) {
  const Key* other = find(key);
  CONCORDAT_REQUIRE(other != nullptr && other->kind == Kind::text && other != &keys_.back(), key);
  keys_.back().fallbacks.push_back({std::move(key), std::move(value), std::move(fallback)});
  return *this;
}

const ConfigSchema::Key* ConfigSchema::find(std::string_view name) const {
  for (const Key& key : keys_) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string config_text(const ConfigValue& value) {
  struct Printer {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const {
      // The shortest text that reads back as the same bits; TOML wants a point or an exponent.
      std::array<char, 32> buffer{};
      auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), v).ptr;
      std::string text(buffer.data(), end);
      if (text.find_first_of(".en") == std::string::npos) text += ".0";
      return text;
    }
    std::string operator()(const std::string& v) const {
      std::string text = "\"";
      for (char c : v) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
      }
      return text + "\"";
    }
    std::string operator()(const std::vector<std::string>& v) const {
      std::string text = "[";
      for (std::size_t i = 0; i < v.size(); ++i) text += (i > 0 ? ", " : "") + (*this)(v[i]);
      return text + "]";
    }
  };
  return std::visit(Printer{}, value);
}

std::string config_allowed(const ConfigSchema::Key& key) {
  if (!key.choices.empty()) {
    std::string text = "one of";
    for (const std::string& choice : key.choices) text += " \"" + choice + "\"";
    return text;
  }
  auto number = [&](double v) {
    return key.kind == ConfigSchema::Kind::integer ? std::to_string(static_cast<std::int64_t>(v))
                                                   : config_text(ConfigValue(v));
  };
  std::string range =
      key.range ? " from " + number(key.range->low) + " to " + number(key.range->high) : "";
  switch (key.kind) {
    case ConfigSchema::Kind::boolean:
      return "true or false";
    case ConfigSchema::Kind::integer:
      return "a whole number" + range;
    case ConfigSchema::Kind::real:
      return "a number" + range;
    case ConfigSchema::Kind::text:
      return "a text";
    case ConfigSchema::Kind::list:
      return "a list of texts";
  }
  throw Bug("unknown kind of key");
}

std::string ConfigSchema::help() const {
  std::string text;
  std::string section;
  for (const Key& key : keys_) {
    if (key.section != section) {
      section = key.section;
      text += "\n[" + section + "]\n";
    }
    text += "  --" + key.name + " = " + config_allowed(key);
    text += key.fallback ? "; default " + config_text(*key.fallback) : "; required";
    for (const auto& other : key.fallbacks) {
      text += ", with " + other.key + " = " + other.value + " " + config_text(other.fallback);
    }
    if (!key.with.first.empty()) {
      text += "; only with " + key.with.first + " = " + key.with.second;
    }
    append_wrapped(text, key.help);
  }
  return text;
}

const Config::Entry& Config::entry(std::string_view key) const {
  auto found = entries_.find(key);
  CONCORDAT_REQUIRE(found != entries_.end(), std::string(key));
  return found->second;
}

bool Config::boolean(std::string_view key) const { return std::get<bool>(entry(key).value); }
std::int64_t Config::integer(std::string_view key) const {
  return std::get<std::int64_t>(entry(key).value);
}
double Config::real(std::string_view key) const { return std::get<double>(entry(key).value); }
const std::string& Config::text(std::string_view key) const {
  return std::get<std::string>(entry(key).value);
}
const std::vector<std::string>& Config::list(std::string_view key) const {
  return std::get<std::vector<std::string>>(entry(key).value);
}
const std::string& Config::origin(std::string_view key) const { return entry(key).origin; }

std::string Config::effective_toml() const {
  std::string text;
  std::string table;
  auto line = [&](const std::string& name, const Entry& entry) {
    text += name + " = " + config_text(entry.value) + "  # " + entry.origin + "\n";
  };
  for (const auto& [name, entry] : entries_) {
    if (name.find('.') == std::string::npos) line(name, entry);
  }
  for (const auto& [name, entry] : entries_) {
    std::size_t dot = name.rfind('.');
    if (dot == std::string::npos) continue;
    if (name.substr(0, dot) != table) {
      table = name.substr(0, dot);
      text += "\n[" + table + "]\n";
    }
    line(name.substr(dot + 1), entry);
  }
  return text;
}

}  // namespace concordat
