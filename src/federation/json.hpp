// Strict, bounded JSON for signed documents; the library behind it stays in json.cpp.
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
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "concordat/core/bytes.hpp"

namespace concordat::federation {

class JsonObject {
 public:
  static JsonObject parse(ByteView text, std::string_view where);
  JsonObject(JsonObject&&) noexcept;
  JsonObject& operator=(JsonObject&&) noexcept;
  ~JsonObject();

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
  /// Every field was read. @throws Error(malformed) naming the first that was not.
  void finish() const;
  /// "roster.json: sites[2]".
  const std::string& where() const { return where_; }

 private:
  struct Node;
  JsonObject(std::unique_ptr<Node> node, std::string where);
  std::unique_ptr<Node> node_;
  std::string where_;
};

/// Builds a document; fields stay in the order in which they were added.
class JsonBuilder {
 public:
  JsonBuilder();
  JsonBuilder(JsonBuilder&&) noexcept;
  JsonBuilder& operator=(JsonBuilder&&) noexcept;
  ~JsonBuilder();
  JsonBuilder& text(const std::string& field, const std::string& value);
  JsonBuilder& integer(const std::string& field, std::uint64_t value);
  JsonBuilder& object(const std::string& field, const JsonBuilder& value);
  JsonBuilder& objects(const std::string& field, const std::vector<JsonBuilder>& values);
  JsonBuilder& texts(const std::string& field, const std::vector<std::string>& values);
  JsonBuilder& text_map(const std::string& field, const std::map<std::string, std::string>& values);
  /// Indented text that ends with a newline.
  Bytes document() const;

 private:
  struct Node;
  std::unique_ptr<Node> node_;
};

}  // namespace concordat::federation
