#include "federation/json.hpp"

#include "concordat/core/error.hpp"
#include "concordat/federation/document.hpp"

namespace concordat::federation {
namespace {

constexpr int max_depth = 8;
constexpr std::size_t max_fields = 512;  // finding one looks through them

[[noreturn]] void refuse(const std::string& where, std::string what, std::string found,
                         std::string expected) {
  throw Error(errors::malformed, {.what = std::move(what),
                                  .where = where,
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "get the document again from who signed it"});
}

// Control characters have no place in names and make messages lie.
bool printable(const std::string& text) {
  for (char character : text) {
    auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f) return false;
  }
  return true;
}

}  // namespace

const JsonValue& JsonObject::field(const std::string& name) {
  const JsonValue* value = value_.find(name);
  if (value == nullptr) {
    refuse(where_, "a field is missing", "no \"" + name + "\"", "\"" + name + "\"");
  }
  read_.insert(name);
  return *value;
}

JsonObject JsonObject::parse(ByteView text, std::string_view where) {
  JsonValue value = JsonValue::parse(
      to_string(text), where,
      {.max_bytes = max_document_bytes, .max_members = max_fields, .max_depth = max_depth});
  std::string place(where);
  if (value.kind() != JsonValue::Kind::object) {
    refuse(place, "the document is not an object", value.described(), "one JSON object");
  }
  return {std::move(value), std::move(place)};
}

std::string JsonObject::text(const std::string& field, std::size_t max_bytes) {
  std::string text = this->field(field).text(where_ + ": " + field);
  if (text.empty() || text.size() > max_bytes || !printable(text)) {
    refuse(where_, "\"" + field + "\" is out of bounds", std::to_string(text.size()) + " bytes",
           "1 to " + std::to_string(max_bytes) + " printable bytes");
  }
  return text;
}

std::uint64_t JsonObject::integer(const std::string& field, std::uint64_t low, std::uint64_t high) {
  const std::uint64_t number = this->field(field).natural(where_ + ": " + field);
  if (number < low || number > high) {
    refuse(where_, "\"" + field + "\" is out of range", std::to_string(number),
           std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

Digest JsonObject::digest(const std::string& field) {
  return digest_from_hex(text(field, 64), where_ + ": " + field);
}

Bytes JsonObject::base64(const std::string& field, std::size_t max_bytes) {
  return from_base64(text(field, 4 * ((max_bytes + 2) / 3)), where_ + ": " + field);
}

JsonObject JsonObject::object(const std::string& field) {
  const JsonValue& value = this->field(field);
  std::string place = where_ + ": " + field;
  if (value.kind() != JsonValue::Kind::object) {
    refuse(place, "a field is no object", value.described(), "an object");
  }
  return {value, std::move(place)};
}

std::vector<JsonObject> JsonObject::objects(const std::string& field, std::size_t max_count) {
  const auto& entries = this->field(field).list(where_ + ": " + field);
  if (entries.size() > max_count) {
    refuse(where_ + ": " + field, "a list is too long", std::to_string(entries.size()) + " entries",
           "at most " + std::to_string(max_count));
  }
  std::vector<JsonObject> all;
  for (const JsonValue& entry : entries) {
    std::string place = where_ + ": " + field + "[" + std::to_string(all.size()) + "]";
    if (entry.kind() != JsonValue::Kind::object) {
      refuse(place, "an entry is no object", entry.described(), "an object");
    }
    all.push_back(JsonObject(entry, std::move(place)));
  }
  return all;
}

std::vector<std::string> JsonObject::texts(const std::string& field, std::size_t max_count,
                                           std::size_t max_bytes) {
  const std::string place = where_ + ": " + field;
  const auto& entries = this->field(field).list(place);
  bool good = entries.size() <= max_count;
  std::vector<std::string> all;
  for (std::size_t i = 0; good && i < entries.size(); ++i) {
    all.push_back(entries[i].text(place));
    good = all.back().size() <= max_bytes && printable(all.back());
  }
  if (!good) {
    refuse(place, "a list of texts is out of bounds", std::to_string(entries.size()) + " entries",
           "at most " + std::to_string(max_count) + " printable texts of " +
               std::to_string(max_bytes) + " bytes");
  }
  return all;
}

std::map<std::string, std::string> JsonObject::text_map(const std::string& field,
                                                        std::size_t max_count,
                                                        std::size_t max_bytes) {
  const std::string place = where_ + ": " + field;
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : this->field(field).members(place)) {
    const std::string& text = value.text(place + ": " + name);
    if (all.size() == max_count || name.empty() || name.size() > max_bytes || !printable(name) ||
        text.size() > max_bytes || !printable(text)) {
      refuse(place, "an entry is no text within bounds", json_quoted(name.substr(0, max_bytes)),
             "at most " + std::to_string(max_count) + " texts of " + std::to_string(max_bytes) +
                 " bytes");
    }
    all.emplace(name, text);
  }
  return all;
}

void JsonObject::finish() const {
  for (const auto& [name, value] : value_.members(where_)) {
    if (!read_.contains(name)) {
      refuse(where_, "a field is unknown", json_quoted(name), "the fields of the format only");
    }
  }
}

Bytes document_of(const JsonValue& value) {
  const std::string text = value.document();
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace concordat::federation
