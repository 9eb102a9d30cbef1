#include "concordat/core/json_value.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "concordat/core/error.hpp"

namespace concordat {
namespace {

[[noreturn]] void fail(std::string_view where, std::string what, std::string found,
                       std::string expected) {
  throw Error(errors::malformed, {.what = std::move(what),
                                  .where = std::string(where),
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "get the file again from where it came"});
}

}  // namespace

/// Receives the events of the library's parser and builds the tree under the bounds.
class JsonReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonReader(std::string_view where, const JsonBounds& bounds) : where_(where), bounds_(bounds) {}
  JsonValue take() && { return std::move(root_); }

  bool null() override { return add({}); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override {
    JsonValue v;
    v.kind_ = JsonValue::Kind::real;
    v.real_ = value;
    return add(std::move(v));
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // no such thing in text
  bool start_object(std::size_t) override { return open(JsonValue::Kind::object); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(JsonValue::Kind::list); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!open_.back().names.insert(name).second) {
      fail(where_, "a key stands twice in one object", json_quoted(name), "each key once");
    }
    if (open_.back().names.size() > bounds_.max_members) {
      fail(where_, "an object has too many fields",
           "more than " + std::to_string(bounds_.max_members),
           "at most " + std::to_string(bounds_.max_members));
    }
    open_.back().key = name;
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail(where_, "the text is not JSON", "an error at byte " + std::to_string(at),
         "one JSON document in UTF-8");
  }

 private:
  struct Open {
    JsonValue value;
    std::string key;  // of the member that comes next
    std::unordered_set<std::string> names;
  };

  bool open(JsonValue::Kind kind) {
    if (open_.size() >= static_cast<std::size_t>(bounds_.max_depth)) {
      fail(where_, "the document is nested too deeply",
           "more than " + std::to_string(bounds_.max_depth) + " levels", "fewer");
    }
    open_.emplace_back();
    open_.back().value.kind_ = kind;
    return true;
  }
  bool close() {
    JsonValue done = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(done));
  }
  bool add(JsonValue value) {
    if (++num_values_ > bounds_.max_values) {
      fail(where_, "the document has too many values",
           "more than " + std::to_string(bounds_.max_values), "fewer");
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().value.kind_ == JsonValue::Kind::list) {
      open_.back().value.list_.push_back(std::move(value));
    } else {
      open_.back().value.members_.emplace_back(std::move(open_.back().key), std::move(value));
    }
    return true;
  }

  std::string_view where_;
  const JsonBounds& bounds_;
  std::vector<Open> open_;
  JsonValue root_;
  std::size_t num_values_ = 0;
};

JsonValue JsonValue::parse(std::string_view text, std::string_view where,
                           const JsonBounds& bounds) {
  if (text.size() > bounds.max_bytes) {
    fail(where, "the document is too long", std::to_string(text.size()) + " bytes",
         "at most " + std::to_string(bounds.max_bytes));
  }
  JsonReader reader(where, bounds);
  try {
    nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  } catch (const nlohmann::json::exception& error) {
    fail(where, "the text is not JSON", error.what(), "one JSON document in UTF-8");
  }
  return std::move(reader).take();
}

void JsonValue::refuse(std::string_view where, const char* expected) const {
  fail(where, "a value is of another kind", described(), expected);
}

bool JsonValue::boolean(std::string_view where) const {
  if (kind_ != Kind::boolean) refuse(where, "true or false");
  return boolean_;
}

std::int64_t JsonValue::integer(std::string_view where) const {
  const bool fits = negative_ || natural_ <= static_cast<std::uint64_t>(INT64_MAX);
  if (kind_ != Kind::integer || !fits) refuse(where, "a whole number that fits 63 bits and a sign");
  return static_cast<std::int64_t>(natural_);
}

std::uint64_t JsonValue::natural(std::string_view where) const {
  if (kind_ != Kind::integer || negative_) refuse(where, "a whole number from 0 to 2^64 - 1");
  return natural_;
}

double JsonValue::real(std::string_view where) const {
  if (kind_ == Kind::real) return real_;
  if (kind_ != Kind::integer) refuse(where, "a number");
  return negative_ ? static_cast<double>(static_cast<std::int64_t>(natural_))
                   : static_cast<double>(natural_);
}

const std::string& JsonValue::text(std::string_view where) const {
  if (kind_ != Kind::text) refuse(where, "text");
  return text_;
}

const std::vector<JsonValue>& JsonValue::list(std::string_view where) const {
  if (kind_ != Kind::list) refuse(where, "a list");
  return list_;
}

const std::vector<JsonValue::Member>& JsonValue::members(std::string_view where) const {
  if (kind_ != Kind::object) refuse(where, "an object");
  return members_;
}

const JsonValue* JsonValue::find(std::string_view name) const {
  for (const Member& member : members_) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

const JsonValue& JsonValue::at(std::string_view name, std::string_view where) const {
  const JsonValue* found = find(name);
  if (found == nullptr) {
    fail(where, "a key is missing", kind_ == Kind::object ? "an object without it" : described(),
         json_quoted(name));
  }
  return *found;
}

std::string JsonValue::described() const {
  switch (kind_) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return boolean_ ? "true" : "false";
    case Kind::integer:
      return negative_ ? std::to_string(static_cast<std::int64_t>(natural_))
                       : std::to_string(natural_);
    case Kind::real:
      return nlohmann::json(real_).dump();
    case Kind::text:
      return json_quoted(std::string_view(text_).substr(0, 60));
    case Kind::list:
      return "a list of " + std::to_string(list_.size());
    case Kind::object:
      return "an object of " + std::to_string(members_.size()) + " keys";
  }
  return "a value";
}

JsonValue::JsonValue(const std::vector<std::string>& texts)
    : kind_(Kind::list), list_(texts.begin(), texts.end()) {}

JsonValue::JsonValue(const std::map<std::string, std::string>& texts) : kind_(Kind::object) {
  for (const auto& [name, text] : texts) add(name, text);
}

JsonValue JsonValue::object() {
  JsonValue value;
  value.kind_ = Kind::object;
  return value;
}

JsonValue& JsonValue::add(std::string name, JsonValue value) {
  CONCORDAT_REQUIRE(kind_ == Kind::object && find(name) == nullptr, name);
  members_.emplace_back(std::move(name), std::move(value));
  return *this;
}

/// The library's tree, which knows how to write.
class JsonWriter {
 public:
  using Json = nlohmann::ordered_json;
  static Json tree(const JsonValue& value) {
    switch (value.kind_) {
      case JsonValue::Kind::null:
        return nullptr;
      case JsonValue::Kind::boolean:
        return value.boolean_;
      case JsonValue::Kind::integer:
        return value.negative_ ? Json(static_cast<std::int64_t>(value.natural_))
                               : Json(value.natural_);
      case JsonValue::Kind::real:
        return value.real_;
      case JsonValue::Kind::text:
        return value.text_;
      case JsonValue::Kind::list: {
        Json list = Json::array();
        for (const JsonValue& each : value.list_) list.push_back(tree(each));
        return list;
      }
      case JsonValue::Kind::object: {
        Json object = Json::object();
        for (const auto& [name, each] : value.members_) object[name] = tree(each);
        return object;
      }
    }
    throw Bug("a kind of JSON value");
  }
};

std::string JsonValue::document(NotUtf8 treatment) const {
  using Handler = nlohmann::json::error_handler_t;
  try {
    return JsonWriter::tree(*this).dump(
               2, ' ', false, treatment == NotUtf8::refuse ? Handler::strict : Handler::replace) +
           "\n";
  } catch (const nlohmann::json::type_error& error) {
    throw Error(errors::malformed, {.what = "a text is not UTF-8",
                                    .where = "a document to be written",
                                    .found = error.what(),
                                    .expected = "UTF-8",
                                    .remedy = "correct the name"});
  }
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace concordat
