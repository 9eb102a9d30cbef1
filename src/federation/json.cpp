#include "federation/json.hpp"

#include <nlohmann/json.hpp>

#include "concordat/core/error.hpp"
#include "concordat/federation/document.hpp"

namespace concordat::federation {
namespace {

using Json = nlohmann::ordered_json;
constexpr int max_depth = 8;
// The library looks through all fields of an object for each new one.
constexpr std::size_t max_fields = 512;

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

struct JsonObject::Node {
  Json value;
  std::set<std::string> read;
  const Json& field(const std::string& where, const std::string& name) {
    auto at = value.find(name);
    if (at == value.end())
      refuse(where, "a field is missing", "no \"" + name + "\"", "\"" + name + "\"");
    read.insert(name);
    return *at;
  }
};

JsonObject::JsonObject(std::unique_ptr<Node> node, std::string where)
    : node_(std::move(node)), where_(std::move(where)) {}
JsonObject::JsonObject(JsonObject&&) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject&&) noexcept = default;
JsonObject::~JsonObject() = default;

JsonObject JsonObject::parse(ByteView text, std::string_view where) {
  std::string place(where);
  if (text.size() > max_document_bytes) {
    refuse(place, "the document is too long", std::to_string(text.size()) + " bytes",
           "at most " + std::to_string(max_document_bytes));
  }
  // The library keeps the last of two equal fields; two readers could disagree, so none may be.
  std::vector<std::set<std::string>> open_objects;
  auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > max_depth) refuse(place, "nested too deeply", "depth above 8", "at most 8");
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key) {
      auto name = parsed.get<std::string>();
      if (!open_objects.back().insert(name).second) {
        refuse(place, "a field stands twice", "\"" + name + "\"", "each field once");
      }
      if (open_objects.back().size() > max_fields) {
        refuse(place, "an object has too many fields", "more than " + std::to_string(max_fields),
               "at most " + std::to_string(max_fields));
      }
    }
    return true;
  };
  auto node = std::make_unique<Node>();
  try {
    node->value = Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {  // numbers beyond double are no parse_error
    refuse(place, "the document is not JSON", error.what(), "one JSON object");
  }
  if (!node->value.is_object()) {
    refuse(place, "the document is not an object", node->value.type_name(), "one JSON object");
  }
  return {std::move(node), place};
}

std::string JsonObject::text(const std::string& field, std::size_t max_bytes) {
  const Json& value = node_->field(where_, field);
  if (!value.is_string()) refuse(where_, "\"" + field + "\" is no text", value.type_name(), "text");
  auto text = value.get<std::string>();
  if (text.empty() || text.size() > max_bytes || !printable(text)) {
    refuse(where_, "\"" + field + "\" is out of bounds", std::to_string(text.size()) + " bytes",
           "1 to " + std::to_string(max_bytes) + " printable bytes");
  }
  return text;
}

std::uint64_t JsonObject::integer(const std::string& field, std::uint64_t low, std::uint64_t high) {
  const Json& value = node_->field(where_, field);
  if (!value.is_number_unsigned()) {
    refuse(where_, "\"" + field + "\" is no natural number", value.type_name(), "an integer");
  }
  auto number = value.get<std::uint64_t>();
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
  const Json& value = node_->field(where_, field);
  if (!value.is_object()) {
    refuse(where_, "\"" + field + "\" is no object", value.type_name(), "an object");
  }
  auto node = std::make_unique<Node>();
  node->value = value;
  return {std::move(node), where_ + ": " + field};
}

std::vector<JsonObject> JsonObject::objects(const std::string& field, std::size_t max_count) {
  const Json& value = node_->field(where_, field);
  if (!value.is_array() || value.size() > max_count) {
    refuse(where_, "\"" + field + "\" is no list within bounds",
           value.is_array() ? std::to_string(value.size()) + " entries" : value.type_name(),
           "at most " + std::to_string(max_count) + " objects");
  }
  std::vector<JsonObject> all;
  for (const Json& entry : value) {
    std::string place = where_ + ": " + field + "[" + std::to_string(all.size()) + "]";
    if (!entry.is_object()) refuse(place, "an entry is no object", entry.type_name(), "an object");
    auto node = std::make_unique<Node>();
    node->value = entry;
    all.push_back(JsonObject(std::move(node), place));
  }
  return all;
}

std::vector<std::string> JsonObject::texts(const std::string& field, std::size_t max_count,
                                           std::size_t max_bytes) {
  const Json& value = node_->field(where_, field);
  bool good = value.is_array() && value.size() <= max_count;
  std::vector<std::string> all;
  for (std::size_t i = 0; good && i < value.size(); ++i) {
    good = value[i].is_string();
    if (good) all.push_back(value[i].get<std::string>());
    good = good && all.back().size() <= max_bytes && printable(all.back());
  }
  if (!good) {
    refuse(where_, "\"" + field + "\" is no list of texts within bounds", value.type_name(),
           "at most " + std::to_string(max_count) + " texts of " + std::to_string(max_bytes) +
               " bytes");
  }
  return all;
}

std::map<std::string, std::string> JsonObject::text_map(const std::string& field,
                                                        std::size_t max_count,
                                                        std::size_t max_bytes) {
  JsonObject inner = object(field);
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : inner.node_->value.items()) {
    if (all.size() == max_count || name.empty() || name.size() > max_bytes || !printable(name) ||
        !value.is_string() || value.get_ref<const std::string&>().size() > max_bytes ||
        !printable(value.get_ref<const std::string&>())) {
      refuse(inner.where(), "an entry is no text within bounds", "\"" + name + "\"",
             "at most " + std::to_string(max_count) + " texts of " + std::to_string(max_bytes) +
                 " bytes");
    }
    all.emplace(name, value.get<std::string>());
  }
  return all;
}

void JsonObject::finish() const {
  for (const auto& [name, value] : node_->value.items()) {
    if (!node_->read.contains(name)) {
      refuse(where_, "a field is unknown", "\"" + name + "\"", "the fields of the format only");
    }
  }
}

struct JsonBuilder::Node {
  Json value = Json::object();
};

JsonBuilder::JsonBuilder() : node_(std::make_unique<Node>()) {}
JsonBuilder::JsonBuilder(JsonBuilder&&) noexcept = default;
JsonBuilder& JsonBuilder::operator=(JsonBuilder&&) noexcept = default;
JsonBuilder::~JsonBuilder() = default;

JsonBuilder& JsonBuilder::text(const std::string& field, const std::string& value) {
  node_->value[field] = value;
  return *this;
}

JsonBuilder& JsonBuilder::integer(const std::string& field, std::uint64_t value) {
  node_->value[field] = value;
  return *this;
}

JsonBuilder& JsonBuilder::object(const std::string& field, const JsonBuilder& value) {
  node_->value[field] = value.node_->value;
  return *this;
}

JsonBuilder& JsonBuilder::objects(const std::string& field,
                                  const std::vector<JsonBuilder>& values) {
  Json list = Json::array();
  for (const JsonBuilder& value : values) list.push_back(value.node_->value);
  node_->value[field] = std::move(list);
  return *this;
}

JsonBuilder& JsonBuilder::texts(const std::string& field, const std::vector<std::string>& values) {
  node_->value[field] = Json(values);
  return *this;
}

JsonBuilder& JsonBuilder::text_map(const std::string& field,
                                   const std::map<std::string, std::string>& values) {
  Json inner = Json::object();
  for (const auto& [name, value] : values) inner[name] = value;
  node_->value[field] = std::move(inner);
  return *this;
}

Bytes JsonBuilder::document() const {
  std::string text;
  try {
    text = node_->value.dump(2) + "\n";
  } catch (const Json::type_error& error) {
    throw Error(errors::malformed, {.what = "a text is not UTF-8",
                                    .where = "a document to be written",
                                    .found = error.what(),
                                    .expected = "UTF-8",
                                    .remedy = "correct the name"});
  }
  ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace concordat::federation
