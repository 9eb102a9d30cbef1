// Configuration: TOML scalars and lists of strings, flattened to dotted keys; every key is also a
// command-line flag and appears in --help. Unknown keys are errors that suggest the nearest one.
//
//   ConfigSchema schema;
//   schema.section("train", "The inner training of a site")
//       .integer("train.steps", 360, {1, 1'000'000}, "inner steps in all")
//       .real("train.rate", 1e-3, {0.0, 1.0}, "peak learning rate")
//       .text("train.device", "auto", {"auto", "cpu", "reference"}, "back end")
//       .integer("train.streams", 1, {1, 8}, "streams").only_with("train.device", "cpu");
//   Config config = Config::load(schema, "site.toml", {"--train.rate=3e-3"});
//   double rate = config.real("train.rate");
//   config.effective_toml();     // every key with its value and, as a comment, its origin
//
// Precedence: flag, file, default. A key declared without a default must be given. One that belongs
// to a value of another key is refused with another value, and then absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace concordat {

using ConfigValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

template <typename T>
struct ValueRange {
  T low;
  T high;
};

class ConfigSchema {
 public:
  enum class Kind { boolean, integer, real, text, list };
  struct Key {
    std::string name;
    Kind kind;
    std::optional<ConfigValue> fallback;  ///< nullopt: required
    std::optional<ValueRange<double>> range;
    std::vector<std::string> choices;  ///< of a text; empty: any
    std::string help;
    std::string section;
    /// The key exists only where the text key `with.first` has the value `with.second`.
    std::pair<std::string, std::string> with{};
    /// Other defaults where the key of that name has that value.
    struct Fallback {
      std::string key, value;
      ConfigValue fallback;
    };
    std::vector<Fallback> fallbacks{};
  };

  /// Starts a titled group of --help; the keys that follow belong to it.
  ConfigSchema& section(std::string name, const std::string& title);
  ConfigSchema& boolean(std::string name, std::optional<bool> fallback, std::string help);
  ConfigSchema& integer(std::string name, std::optional<std::int64_t> fallback,
                        ValueRange<std::int64_t> range, std::string help);
  ConfigSchema& real(std::string name, std::optional<double> fallback, ValueRange<double> range,
                     std::string help);
  ConfigSchema& text(std::string name, std::optional<std::string> fallback,
                     std::vector<std::string> choices, std::string help);
  ConfigSchema& list(std::string name, std::optional<std::vector<std::string>> fallback,
                     std::string help);

  /// Of the key that was declared last: it exists only where `key`, a text that was declared
  /// before it, has this value.
  ConfigSchema& only_with(std::string key, std::string value);
  /// Of the key that was declared last: its default where `key` has this value.
  ConfigSchema& fallback_with(std::string key, std::string value, ConfigValue fallback);

  const std::vector<Key>& keys() const { return keys_; }
  const Key* find(std::string_view name) const;
  /// The keys as option help, grouped by section.
  std::string help() const;

 private:
  ConfigSchema& add(Key key);
  std::vector<Key> keys_;
  std::string section_;
};

/// Values that nobody may change, such as those of a signed run agreement: key to text (reals may
/// be hexadecimal floating point). They take the place of defaults and refuse any other value.
struct ConfigOverlay {
  std::string origin;  ///< of all of them, for messages
  std::map<std::string, std::string> values;
};

class Config {
 public:
  /// `path` may be empty: flags and defaults only. Flags look like `--key=value` or `--key value`.
  /// @throws Error(config_unknown_key | config_bad_value | config_missing_key | not_found),
  /// naming file and line, key, value found, values allowed and the nearest known key.
  static Config load(const ConfigSchema& schema, const std::string& path,
                     const std::vector<std::string>& flags, const ConfigOverlay& overlay = {});
  /// The same from TOML that is at hand, such as an effective configuration that was kept. `path`
  /// is where it lies, for messages and folder(); nothing is read from there.
  static Config load_text(const ConfigSchema& schema, std::string_view toml,
                          const std::string& path, const std::vector<std::string>& flags = {},
                          const ConfigOverlay& overlay = {});

  /// Whether the key exists here (only_with). Asking for the value of one that does not is a Bug.
  bool has(std::string_view key) const { return entries_.find(key) != entries_.end(); }
  bool boolean(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;
  const std::string& text(std::string_view key) const;
  const std::vector<std::string>& list(std::string_view key) const;
  /// "default", "flag" or "FILE:LINE".
  const std::string& origin(std::string_view key) const;
  bool given(std::string_view key) const { return origin(key) != "default"; }
  /// The folder of the configuration file; relative paths in it are resolved against this.
  const std::string& folder() const { return folder_; }
  /// Every key with its value, valid TOML; the origin follows as a comment.
  std::string effective_toml() const;

 private:
  struct Entry {
    ConfigValue value;
    std::string origin;
  };
  const Entry& entry(std::string_view key) const;
  std::map<std::string, Entry, std::less<>> entries_;
  std::string folder_ = ".";
};

}  // namespace concordat
