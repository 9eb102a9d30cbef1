// Loading: TOML is flattened to dotted keys, joined with the flags in Boost.Program_options, and
// each value is converted once, with its origin at hand for the message.
#include <toml++/toml.h>
#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <numeric>

#include "concordat/core/error.hpp"
#include "concordat/core/file.hpp"
#include "core/config_text.hpp"

namespace concordat {
namespace {

namespace po = boost::program_options;

struct RawValue {
  std::vector<std::string> texts;  // one, or the entries of a list
  bool is_list = false;
  std::string origin;
};
using RawValues = std::map<std::string, RawValue>;

constexpr const char* flag_origin = "flag";

[[noreturn]] void bad_value(const std::string& key, const RawValue& raw, std::string expected) {
  std::string found = raw.is_list ? "a list of " + std::to_string(raw.texts.size()) + " entries"
                                  : "\"" + raw.texts.front() + "\"";
  throw Error(errors::config_bad_value, {.what = "bad value for " + key,
                                         .where = raw.origin,
                                         .found = std::move(found),
                                         .expected = std::move(expected),
                                         .remedy = "see --help for every key"});
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t next = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = next;
    }
  }
  return row[b.size()];
}

[[noreturn]] void unknown_key(const ConfigSchema& schema, const std::string& key,
                              const std::string& origin) {
  const auto& keys = schema.keys();
  auto nearest = std::min_element(keys.begin(), keys.end(), [&](const auto& a, const auto& b) {
    return edit_distance(key, a.name) < edit_distance(key, b.name);
  });
  throw Error(errors::config_unknown_key,
              {.what = "unknown configuration key",
               .where = origin,
               .found = key,
               .expected = nearest == keys.end() ? "no keys" : "perhaps " + nearest->name,
               .remedy = "see --help for every key"});
}

std::string text_of(const toml::node& node) {
  if (auto text = node.value_exact<std::string>()) return *text;
  if (auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  if (auto real = node.value_exact<double>()) return config_text(ConfigValue(*real));
  return {};
}

void flatten(const toml::table& table, const std::string& prefix, const std::string& path,
             RawValues& out) {
  for (const auto& [name, node] : table) {
    std::string key =
        prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
    std::string origin = path + ":" + std::to_string(node.source().begin.line);
    if (const auto* inner = node.as_table()) {
      flatten(*inner, key, path, out);
      continue;
    }
    RawValue raw{.texts = {}, .is_list = node.is_array(), .origin = origin};
    bool supported = true;
    if (const auto* list = node.as_array()) {
      for (const auto& item : *list) {
        supported = supported && item.is_string();
        raw.texts.push_back(text_of(item));
      }
    } else {
      supported = node.is_string() || node.is_boolean() || node.is_number();
      raw.texts.push_back(text_of(node));
    }
    if (!supported) {
      throw Error(errors::config_bad_value, {.what = "unsupported kind of value for " + key,
                                             .where = origin,
                                             .found = "a date, a time or a mixed list",
                                             .expected = "a scalar or a list of strings",
                                             .remedy = "see --help for every key"});
    }
    out[key] = std::move(raw);
  }
}

RawValues read_toml(std::string_view text, const std::string& path) {
  RawValues values;
  try {
    flatten(toml::parse(text, path), "", path, values);
  } catch (const toml::parse_error& error) {
    throw Error(errors::config_bad_value,
                {.what = "the configuration is not valid TOML",
                 .where = path + ":" + std::to_string(error.source().begin.line),
                 .found = std::string(error.description()),
                 .expected = "TOML 1.0",
                 .remedy = "mend that line"});
  }
  return values;
}

RawValues read_flags(const ConfigSchema& schema, const std::vector<std::string>& flags) {
  po::options_description options;
  for (const auto& key : schema.keys()) {
    options.add_options()(key.name.c_str(), po::value<std::vector<std::string>>());
  }
  RawValues values;
  try {
    auto style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    auto parsed = po::command_line_parser(flags)
                      .options(options)
                      .style(style)
                      .positional(po::positional_options_description())
                      .run();
    for (const auto& option : parsed.options) {
      const auto* key = schema.find(option.string_key);
      RawValue& raw = values[option.string_key];
      raw.origin = flag_origin;
      raw.is_list = key != nullptr && key->kind == ConfigSchema::Kind::list;
      if (!raw.is_list) raw.texts.clear();
      raw.texts.insert(raw.texts.end(), option.value.begin(), option.value.end());
    }
  } catch (const po::unknown_option& error) {
    std::string name = error.get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    unknown_key(schema, name, flag_origin);
  } catch (const po::error& error) {
    throw Error(errors::usage, {.what = "bad flags",
                                .where = "command line",
                                .found = error.what(),
                                .expected = "--key=value",
                                .remedy = "see --help for every key"});
  }
  return values;
}

std::from_chars_result parse(std::string_view text, std::int64_t& value) {
  return std::from_chars(text.data(), text.data() + text.size(), value);
}

// Decimal, or hexadecimal with 0x as agreements write it.
std::from_chars_result parse(std::string_view text, double& value) {
  bool hexadecimal = text.substr(0, 2) == "0x" || text.substr(0, 3) == "-0x";
  if (!hexadecimal) return std::from_chars(text.data(), text.data() + text.size(), value);
  bool negative = text.front() == '-';
  std::string_view digits = text.substr(negative ? 3 : 2);
  auto result =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::hex);
  if (negative) value = -value;
  return result;
}

template <typename T>
T number(const ConfigSchema::Key& key, const RawValue& raw) {
  const std::string& text = raw.texts.front();
  T value{};
  auto [end, status] = parse(text, value);
  bool fits = status == std::errc() && end == text.data() + text.size();
  if (fits && key.range) {
    auto wide = static_cast<double>(value);
    fits = wide >= key.range->low && wide <= key.range->high;  // NaN fails both
  }
  if (!fits) bad_value(key.name, raw, config_allowed(key));
  return value;
}

std::string taken_out(const std::string& key, const RawValue& raw) {
  return raw.origin == flag_origin ? "leave --" + key + " out" : "take the key out of the file";
}

[[noreturn]] void not_with(const ConfigSchema::Key& key, const RawValue& raw,
                           const Config& config) {
  const auto& [other, value] = key.with;
  throw Error(
      errors::config_bad_value,
      {.what = key.name + " belongs to " + other + " = \"" + value + "\" alone",
       .where = raw.origin,
       .found = other + " = " + (config.has(other) ? "\"" + config.text(other) + "\"" : "none"),
       .expected = "no " + key.name,
       .remedy = taken_out(key.name, raw) + ", or change " + other});
}

const ConfigValue& fallback_of(const ConfigSchema::Key& key, const Config& config) {
  for (const auto& other : key.fallbacks) {
    if (config.has(other.key) && config.text(other.key) == other.value) return other.fallback;
  }
  return *key.fallback;
}

ConfigValue convert(const ConfigSchema::Key& key, const RawValue& raw) {
  using Kind = ConfigSchema::Kind;
  if (raw.is_list != (key.kind == Kind::list) || (!raw.is_list && raw.texts.empty())) {
    bad_value(key.name, raw, config_allowed(key));
  }
  switch (key.kind) {
    case Kind::list:
      return raw.texts;
    case Kind::boolean:
      if (raw.texts.front() != "true" && raw.texts.front() != "false") {
        bad_value(key.name, raw, config_allowed(key));
      }
      return raw.texts.front() == "true";
    case Kind::integer:
      return number<std::int64_t>(key, raw);
    case Kind::real:
      return number<double>(key, raw);
    case Kind::text: {
      const auto& choices = key.choices;
      const std::string& text = raw.texts.front();
      if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) {
        bad_value(key.name, raw, config_allowed(key));
      }
      return text;
    }
  }
  throw Bug("unknown kind of key");
}

}  // namespace

Config Config::load(const ConfigSchema& schema, const std::string& path,
                    const std::vector<std::string>& flags, const ConfigOverlay& overlay) {
  const std::string text = path.empty() ? "" : read_text(posix_files(), path, 1U << 20U);
  return load_text(schema, text, path, flags, overlay);
}

Config Config::load_text(const ConfigSchema& schema, std::string_view toml, const std::string& path,
                         const std::vector<std::string>& flags, const ConfigOverlay& overlay) {
  RawValues values;
  if (!path.empty()) values = read_toml(toml, path);
  for (const auto& [name, raw] : values) {
    if (schema.find(name) == nullptr) unknown_key(schema, name, raw.origin);
  }
  for (auto& [name, raw] : read_flags(schema, flags)) values[name] = std::move(raw);

  Config config;
  if (!path.empty()) {
    auto folder = std::filesystem::path(path).parent_path();
    config.folder_ = folder.empty() ? "." : folder.string();
  }
  for (const auto& [name, text] : overlay.values) {
    const auto* key = schema.find(name);
    if (key == nullptr) unknown_key(schema, name, overlay.origin);
    RawValue fixed{.texts = {text}, .is_list = false, .origin = overlay.origin};
    auto given = values.find(name);
    const ConfigValue value = convert(*key, fixed);
    if (given != values.end() && convert(*key, given->second) != value) {
      // The value as people write it: agreements hold reals as exact bits.
      throw Error(errors::config_bad_value, {.what = name + " is fixed by " + overlay.origin,
                                             .where = given->second.origin,
                                             .found = given->second.texts.front(),
                                             .expected = config_text(value),
                                             .remedy = taken_out(name, given->second)});
    }
    values[name] = std::move(fixed);
  }
  for (const auto& key : schema.keys()) {
    auto found = values.find(key.name);
    if (!key.with.first.empty() &&
        (!config.has(key.with.first) || config.text(key.with.first) != key.with.second)) {
      if (found != values.end()) not_with(key, found->second, config);
      continue;
    }
    if (found != values.end()) {
      config.entries_[key.name] = {convert(key, found->second), found->second.origin};
    } else if (key.fallback) {
      config.entries_[key.name] = {fallback_of(key, config), "default"};
    } else {
      throw Error(errors::config_missing_key,
                  {.what = "a required key is missing",
                   .where = path.empty() ? "command line" : path,
                   .found = "no " + key.name,
                   .expected = config_allowed(key),
                   .remedy = "add it to the file or give --" + key.name});
    }
  }
  return config;
}

}  // namespace concordat
