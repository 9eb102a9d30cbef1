// JsonValue: a JSON document, read strictly or built.
//
//   JsonValue config = JsonValue::parse(text, "llama/config.json");
//   std::int64_t width = config.at("hidden_size", where).integer(where + ": hidden_size");
//   for (const auto& [name, value] : config.members("config.json")) ...
//
//   JsonValue page = JsonValue::object();
//   page.add("round", 3).add("waiting_for", std::vector<std::string>{"alba", "brio"});
//   std::string text = page.document();
//
// Refused while reading: what is not JSON or not UTF-8, a key that an object repeats (two readers
// could disagree), nesting and counts beyond the bounds. Getters refuse a value of another kind.
// Failure: Error(malformed) naming `where`. A value owns its parts. Cost: one pass, about ten times
// the text in memory; find() and at() look through the members.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat {

struct JsonBounds {
  std::size_t max_bytes = std::size_t{1} << 20U;
  std::size_t max_values = 1'000'000;
  std::size_t max_members = SIZE_MAX;  ///< of one object
  int max_depth = 16;
};

class JsonValue {
 public:
  enum class Kind { null, boolean, integer, real, text, list, object };
  using Member = std::pair<std::string, JsonValue>;

  JsonValue() = default;
  // Implicit, so that a document reads like what it becomes.
  template <std::integral T>
  requires(!std::same_as<T, bool>) JsonValue(T value)
      : kind_(Kind::integer),
        natural_(static_cast<std::uint64_t>(value)),
        negative_(std::signed_integral<T> && value < T{0}) {}
  template <std::same_as<bool> T>
  JsonValue(T value) : kind_(Kind::boolean), boolean_(value) {}
  JsonValue(std::string text) : kind_(Kind::text), text_(std::move(text)) {}
  JsonValue(std::string_view text) : JsonValue(std::string(text)) {}
  JsonValue(const char* text) : JsonValue(std::string(text)) {}
  JsonValue(std::vector<JsonValue> list) : kind_(Kind::list), list_(std::move(list)) {}
  JsonValue(const std::vector<std::string>& texts);
  JsonValue(const std::map<std::string, std::string>& texts);
  static JsonValue object();
  /// A member behind the others. @pre this is an object without one of this name.
  JsonValue& add(std::string name, JsonValue value);
  /// Indented by two, members in their order, a newline at the end. What is no UTF-8 is refused,
  /// Error(malformed), or under `replace` written as U+FFFD.
  enum class NotUtf8 { refuse, replace };
  std::string document(NotUtf8 treatment = NotUtf8::refuse) const;

  static JsonValue parse(std::string_view text, std::string_view where,
                         const JsonBounds& bounds = {});

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool boolean(std::string_view where) const;
  /// Whole numbers that fit 63 bits and a sign.
  std::int64_t integer(std::string_view where) const;
  /// Whole numbers from 0 to 2^64 - 1.
  std::uint64_t natural(std::string_view where) const;
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
  friend class JsonWriter;
  [[noreturn]] void refuse(std::string_view where, const char* expected) const;

  Kind kind_ = Kind::null;
  bool boolean_ = false;
  std::uint64_t natural_ = 0;  ///< of an integer; two's complement if negative
  bool negative_ = false;
  double real_ = 0.0;
  std::string text_;
  std::vector<JsonValue> list_;
  std::vector<Member> members_;
};

/// `text` as a JSON string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace concordat
