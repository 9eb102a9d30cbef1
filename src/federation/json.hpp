// Strict, bounded JSON for signed documents: what core/json_value.hpp reads, field by field.
//
//   JsonObject root = JsonObject::parse(document, "roster.json");
//   std::string name = root.text("name", 64);
//   for (JsonObject& site : root.objects("sites", 1024)) { ...; site.finish(); }
//   root.finish();                                    // refuses fields that nobody asked for
//
// Every getter throws Error(malformed) naming document and field when the field is missing, has
// another type or is out of bounds. Doubled fields and nesting beyond 8 are refused at once.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"
#include "concordat/core/json_value.hpp"

namespace concordat::federation {

class JsonObject {
 public:
  static JsonObject parse(ByteView text, std::string_view where);

  /// Printable UTF-8 of 1 to max_bytes.
  std::string text(const std::string& field, std::size_t max_bytes);
  std::uint64_t integer(const std::string& field, std::uint64_t low, std::uint64_t high);
  Digest digest(const std::string& field);
  Bytes base64(const std::string& field, std::size_t max_bytes);
  JsonObject object(const std::string& field);
  std::vector<JsonObject> objects(const std::string& field, std::size_t max_count);
  std::vector<std::string> texts(const std::string& field, std::size_t max_count,
                                 std::size_t max_bytes);
  /// An object of texts.
  std::map<std::string, std::string> text_map(const std::string& field, std::size_t max_count,
                                              std::size_t max_bytes);
  /// Whether the field is there; for those that may be left out.
  bool has(const std::string& field) const { return value_.find(field) != nullptr; }
  /// Every field was read. @throws Error(malformed) naming the first that was not.
  void finish() const;
  /// "roster.json: sites[2]".
  const std::string& where() const { return where_; }

 private:
  JsonObject(JsonValue value, std::string where)
      : value_(std::move(value)), where_(std::move(where)) {}
  const JsonValue& field(const std::string& name);
  JsonValue value_;
  std::set<std::string> read_;
  std::string where_;
};

/// The bytes of a document to be signed. @throws Error(malformed) for a text that is not UTF-8.
Bytes document_of(const JsonValue& value);

}  // namespace concordat::federation
