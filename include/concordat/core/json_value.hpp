// JsonValue: a JSON document from somebody else, read strictly.
//
//   JsonValue config = JsonValue::parse(text, "llama/config.json");
//   std::int64_t width = config.at("hidden_size", where).integer(where + ": hidden_size");
//   for (const auto& [name, value] : config.members("config.json")) ...
//
// Refused while reading: what is not JSON or not UTF-8, a key that an object repeats (two readers
// could disagree), nesting and counts beyond the bounds. Getters refuse a value of another kind.
// Failure: Error(malformed) naming `where`. A value owns its parts. Cost: one pass, about ten times
// the text in memory; find() and at() look through the members.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat {

struct JsonBounds {
  std::size_t max_bytes = std::size_t{1} << 20U;
  std::size_t max_values = 1'000'000;
  int max_depth = 16;
};

class JsonValue {
 public:
  enum class Kind { null, boolean, integer, real, text, list, object };
  using Member = std::pair<std::string, JsonValue>;

  JsonValue() = default;
  static JsonValue parse(std::string_view text, std::string_view where,
                         const JsonBounds& bounds = {});

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool boolean(std::string_view where) const;
  /// Whole numbers that fit 63 bits and a sign.
  std::int64_t integer(std::string_view where) const;
  /// Any number.
  double real(std::string_view where) const;
  const std::string& text(std::string_view where) const;
  const std::vector<JsonValue>& list(std::string_view where) const;
  /// In the document's order.
  const std::vector<Member>& members(std::string_view where) const;
  /// A member of an object; nullptr if it is not there or this is no object.
  const JsonValue* find(std::string_view name) const;
  const JsonValue& at(std::string_view name, std::string_view where) const;
  /// "a number", "text", ... and small values themselves: for messages.
  std::string described() const;

 private:
  friend class JsonReader;
  [[noreturn]] void refuse(std::string_view where, const char* expected) const;

  Kind kind_ = Kind::null;
  bool boolean_ = false;
  std::int64_t integer_ = 0;
  double real_ = 0.0;
  std::string text_;
  std::vector<JsonValue> list_;
  std::vector<Member> members_;
};

/// `text` as a JSON string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace concordat
