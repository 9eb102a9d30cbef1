#include <algorithm>

#include "concordat/core/json_value.hpp"
#include "concordat/model/errors.hpp"
#include "concordat/model/safetensors.hpp"

namespace concordat::model {
namespace {

constexpr std::size_t max_name_bytes = 1024;
constexpr std::size_t max_axes = 8;

struct ElementType {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr ElementType element_types[] = {{"F64", 8},     {"F32", 4},     {"F16", 2}, {"BF16", 2},
                                         {"I64", 8},     {"I32", 4},     {"I16", 2}, {"I8", 1},
                                         {"U64", 8},     {"U32", 4},     {"U16", 2}, {"U8", 1},
                                         {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"BOOL", 1}};

[[noreturn]] void refuse(const std::string& where, std::string what, std::string found,
                         std::string expected) {
  throw Error(errors::bad_weights, {.what = std::move(what),
                                    .where = where,
                                    .found = std::move(found),
                                    .expected = std::move(expected),
                                    .remedy = "get the file again from where it came"});
}

std::uint64_t element_bytes(const std::string& dtype, const std::string& where) {
  for (const ElementType& type : element_types) {
    if (type.name == dtype) return type.bytes;
  }
  refuse(where, "an element type is unknown", json_quoted(dtype), "one such as F32, F16 or BF16");
}

std::uint64_t offset(const JsonValue& value, const std::string& where) {
  const std::int64_t number = value.integer(where);
  if (number < 0) refuse(where, "an offset is negative", std::to_string(number), "0 or more");
  return static_cast<std::uint64_t>(number);
}

Shape read_shape(const JsonValue& value, const std::string& where) {
  Shape shape;
  for (const JsonValue& axis : value.list(where)) {
    shape.push_back(axis.integer(where));
    if (shape.back() < 0 || shape.size() > max_axes) {
      refuse(where, "a shape cannot be", value.described(), "at most 8 axes, none negative");
    }
  }
  return shape;
}

/// Elements times bytes, or a refusal before the product could wrap.
std::uint64_t shape_bytes(const Shape& shape, std::uint64_t element, std::uint64_t data_bytes,
                          const std::string& where) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::uint64_t bytes = element;
  for (const std::int64_t axis : shape) {
    const auto length = static_cast<std::uint64_t>(axis);
    if (bytes > data_bytes / length) {
      refuse(where, "a shape needs more bytes than the file has", to_string(shape),
             "at most " + std::to_string(data_bytes) + " bytes");
    }
    bytes *= length;
  }
  return bytes;
}

SafetensorsEntry read_entry(const std::string& name, const JsonValue& value,
                            std::uint64_t data_bytes, const std::string& where) {
  for (const auto& [key, unused] : value.members(where)) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      refuse(where, "a tensor has a field that the format does not know", json_quoted(key),
             "dtype, shape and data_offsets");
    }
  }
  SafetensorsEntry entry{.name = name,
                         .dtype = value.at("dtype", where).text(where),
                         .shape = read_shape(value.at("shape", where), where)};
  const auto& offsets = value.at("data_offsets", where).list(where);
  if (offsets.size() != 2) {
    refuse(where, "data_offsets is no pair", std::to_string(offsets.size()) + " numbers", "2");
  }
  entry.begin = offset(offsets[0], where);
  entry.end = offset(offsets[1], where);
  const std::uint64_t element = element_bytes(entry.dtype, where);
  const std::string range = std::to_string(entry.begin) + " to " + std::to_string(entry.end);
  if (entry.begin > entry.end || entry.end > data_bytes) {
    refuse(where, "a tensor lies outside the file", range,
           "a range in the " + std::to_string(data_bytes) + " bytes behind the header");
  }
  const std::uint64_t wanted = shape_bytes(entry.shape, element, data_bytes, where);
  if (entry.end - entry.begin != wanted) {
    refuse(where, "a tensor's bytes do not fit its shape", range,
           std::to_string(wanted) + " bytes for " + entry.dtype + " " + to_string(entry.shape));
  }
  if (entry.begin % element != 0) {
    refuse(where, "a tensor is not aligned", "offset " + std::to_string(entry.begin),
           "a multiple of " + std::to_string(element));
  }
  return entry;
}

/// Each byte behind the header belongs to one tensor.
void check_cover(const std::vector<SafetensorsEntry>& tensors, std::uint64_t data_bytes,
                 const std::string& where) {
  std::uint64_t at = 0;
  for (const SafetensorsEntry& entry : tensors) {
    if (entry.begin != at) {
      refuse(where + ": " + entry.name,
             entry.begin < at ? "two tensors overlap" : "bytes between tensors belong to none",
             "offset " + std::to_string(entry.begin), std::to_string(at));
    }
    at = entry.end;
  }
  if (at != data_bytes) {
    refuse(where, "bytes behind the last tensor belong to none",
           std::to_string(data_bytes) + " bytes", std::to_string(at));
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                           std::string_view where) {
  const std::string place(where);
  if (json.empty() || json.front() != '{') {
    refuse(place, "the header is no object",
           json.empty() ? "nothing" : "byte " + to_hex(as_bytes(json.substr(0, 1))), "\"{\"");
  }
  const JsonValue root = JsonValue::parse(
      json, place, {.max_bytes = max_safetensors_header_bytes, .max_values = 4'000'000});
  SafetensorsHeader header;
  for (const auto& [name, value] : root.members(place)) {
    const std::string at = place + ": " + name.substr(0, 100);
    if (name == "__metadata__") {
      for (const auto& [key, text] : value.members(at)) header.metadata[key] = text.text(at);
      continue;
    }
    if (name.empty() || name.size() > max_name_bytes) {
      refuse(at, "a tensor's name is out of bounds", std::to_string(name.size()) + " bytes",
             "1 to " + std::to_string(max_name_bytes));
    }
    header.tensors.push_back(read_entry(name, value, data_bytes, at));
  }
  // Empty tensors sort before what begins where they end.
  std::sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_cover(header.tensors, data_bytes, place);
  return header;
}

std::string safetensors_header_text(const SafetensorsHeader& header) {
  std::string out = "{";
  const auto comma = [&] {
    if (out.size() > 1) out += ',';
  };
  if (!header.metadata.empty()) {
    out += "\"__metadata__\":{";
    bool first = true;
    for (const auto& [key, text] : header.metadata) {
      out += (first ? "" : ",") + json_quoted(key) + ":" + json_quoted(text);
      first = false;
    }
    out += '}';
  }
  for (const SafetensorsEntry& entry : header.tensors) {
    comma();
    out += json_quoted(entry.name) + ":{\"dtype\":" + json_quoted(entry.dtype) + ",\"shape\":[";
    for (std::size_t i = 0; i < entry.shape.size(); ++i) {
      out += (i == 0 ? "" : ",") + std::to_string(entry.shape[i]);
    }
    out += "],\"data_offsets\":[" + std::to_string(entry.begin) + "," + std::to_string(entry.end) +
           "]}";
  }
  out += '}';
  out.resize((out.size() + 7) / 8 * 8, ' ');
  return out;
}

}  // namespace concordat::model
