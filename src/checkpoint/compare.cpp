#include "concordat/checkpoint/compare.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string_view>

#include "checkpoint/extents.hpp"
#include "checkpoint/manifest.hpp"

namespace concordat::checkpoint {

namespace {

constexpr std::uint64_t elements_at_once = std::uint64_t{1} << 18U;
constexpr double infinity = std::numeric_limits<double>::infinity();

template <typename Number>
Number load(const std::uint8_t* bytes) {
  Number value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Runs `work` with a reader of one element of this type: bytes -> double.
template <typename Work>
auto with_reader(Dtype dtype, Work&& work) {
  using Bytes8 = const std::uint8_t*;
  switch (dtype) {
    case Dtype::f32:
      return work([](Bytes8 at) { return static_cast<double>(load<float>(at)); });
    case Dtype::bf16:
      return work([](Bytes8 at) { return static_cast<double>(to_float(load<Bf16>(at))); });
    case Dtype::f16:
      return work([](Bytes8 at) { return static_cast<double>(to_float(load<F16>(at))); });
    case Dtype::f64:
      return work([](Bytes8 at) { return load<double>(at); });
    case Dtype::i32:
      return work([](Bytes8 at) { return static_cast<double>(load<std::int32_t>(at)); });
    case Dtype::i64:
      return work([](Bytes8 at) { return static_cast<double>(load<std::int64_t>(at)); });
    case Dtype::u8:
      return work([](Bytes8 at) { return static_cast<double>(*at); });
    case Dtype::u16:
      return work([](Bytes8 at) { return static_cast<double>(load<std::uint16_t>(at)); });
    case Dtype::u32:
      return work([](Bytes8 at) { return static_cast<double>(load<std::uint32_t>(at)); });
  }
  throw Bug("unknown dtype");
}

template <typename Number>
std::string exact_text(Number value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

std::string text_of(Dtype dtype, const std::uint8_t* at) {
  switch (dtype) {
    case Dtype::f32:
      return exact_text(load<float>(at));
    case Dtype::bf16:
      return exact_text(to_float(load<Bf16>(at)));
    case Dtype::f16:
      return exact_text(to_float(load<F16>(at)));
    case Dtype::i64:
      return exact_text(load<std::int64_t>(at));
    default:
      return with_reader(dtype, [&](auto read) { return exact_text(read(at)); });
  }
}

/// The coordinates of an element, row-major: "[3,17]".
std::string place_of(const Shape& shape, std::uint64_t element) {
  if (shape.empty()) return {};
  std::string text;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto extent = static_cast<std::uint64_t>(shape[axis]);
    text = std::to_string(element % extent) + (text.empty() ? "" : ",") + text;
    element /= extent;
  }
  return "[" + text + "]";
}

std::string form_of(const Manifest::Dataset& dataset) {
  return std::string(name_of(dataset.dtype)) + " " + to_string(dataset.shape);
}

/// Looks at the pairs of one block. Pairs of equal bits never differ.
class Pairs {
 public:
  Pairs(DatasetDifference& found, const Manifest::Dataset& dataset, const CompareOptions& options)
      : found_(found), dataset_(dataset), options_(options) {}

  void look(const Bytes& a, const Bytes& b, std::uint64_t first_element) {
    if (std::memcmp(a.data(), b.data(), a.size()) == 0) return;
    with_reader(dataset_.dtype, [&](auto read) {
      const std::size_t width = size_of(dataset_.dtype);
      for (std::size_t at = 0; at < a.size(); at += width) {
        if (std::memcmp(a.data() + at, b.data() + at, width) == 0) continue;
        pair(read(a.data() + at), read(b.data() + at), a.data() + at, b.data() + at,
             first_element + at / width);
      }
    });
  }

 private:
  void pair(double a, double b, const std::uint8_t* a_bytes, const std::uint8_t* b_bytes,
            std::uint64_t element) {
    const double larger = std::max(std::fabs(a), std::fabs(b));
    double apart = std::fabs(a - b);
    if (!std::isfinite(a) || !std::isfinite(b)) apart = a == b ? 0.0 : infinity;
    const bool exact = options_.absolute == 0.0 && options_.relative == 0.0;
    // An infinite element times a relative tolerance would allow everything.
    const double allowed =
        std::isfinite(larger) ? options_.absolute + options_.relative * larger : options_.absolute;
    if (!exact && apart <= allowed) return;
    if (found_.num_different++ == 0) {
      found_.first_place = place_of(dataset_.shape, element);
      found_.first_a = text_of(dataset_.dtype, a_bytes);
      found_.second_b = text_of(dataset_.dtype, b_bytes);
    }
    found_.largest_absolute = std::max(found_.largest_absolute, apart);
    const double relative = apart == 0.0 ? 0.0 : std::isfinite(apart) ? apart / larger : infinity;
    found_.largest_relative = std::max(found_.largest_relative, relative);
  }

  DatasetDifference& found_;
  const Manifest::Dataset& dataset_;
  const CompareOptions& options_;
};

struct Side {
  Side(FileSystem& fs, const Path& generation)
      : manifest(read_manifest(fs, generation)),
        state(fs.open(generation / state_name, OpenMode::read)) {
    for (const auto& dataset : manifest.datasets) by_name.emplace(dataset.name, &dataset);
  }
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  const Manifest::Dataset* find(const std::string& name) const {
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : found->second;
  }

  void read(const Manifest::Dataset& dataset, std::uint64_t at, Bytes& into) const {
    state->read_at(dataset.offset + at, into);
  }

  Manifest manifest;
  std::unique_ptr<File> state;
  std::map<std::string_view, const Manifest::Dataset*> by_name;
};

DatasetDifference compare_elements(const Side& first, const Manifest::Dataset& a,
                                   const Side& second, const Manifest::Dataset& b,
                                   const CompareOptions& options) {
  DatasetDifference found{.name = a.name};
  const std::uint64_t width = size_of(a.dtype);
  const std::uint64_t total = extent_bytes(a);
  found.num_elements = total / width;
  Pairs pairs(found, a, options);
  Bytes bytes_a;
  Bytes bytes_b;
  for (std::uint64_t at = 0; at < total; at += bytes_a.size()) {
    bytes_a.resize(std::min(total - at, elements_at_once * width));
    bytes_b.resize(bytes_a.size());
    first.read(a, at, bytes_a);
    second.read(b, at, bytes_b);
    pairs.look(bytes_a, bytes_b, at / width);
  }
  return found;
}

Metadata all_texts(const Manifest& manifest) {
  Metadata texts = manifest.metadata;
  texts["step"] = std::to_string(manifest.position.step);
  texts["round"] = std::to_string(manifest.position.round);
  return texts;
}

std::vector<MetadataDifference> compare_metadata(const Manifest& first, const Manifest& second) {
  const Metadata a = all_texts(first);
  const Metadata b = all_texts(second);
  std::vector<MetadataDifference> found;
  for (const auto& [key, text] : a) {
    const auto other = b.find(key);
    if (other == b.end()) {
      found.push_back({key, text, std::nullopt});
    } else if (other->second != text) {
      found.push_back({key, text, other->second});
    }
  }
  for (const auto& [key, text] : b) {
    if (a.find(key) == a.end()) found.push_back({key, std::nullopt, text});
  }
  std::sort(found.begin(), found.end(), [](const auto& x, const auto& y) { return x.key < y.key; });
  return found;
}

}  // namespace

Comparison compare_generations(FileSystem& fs, const Path& first_folder, const Path& second_folder,
                               const CompareOptions& options) {
  const Side first(fs, first_folder);
  const Side second(fs, second_folder);
  Comparison result{.metadata = compare_metadata(first.manifest, second.manifest)};
  for (const auto& a : first.manifest.datasets) {
    const auto* b = second.find(a.name);
    if (b == nullptr) {
      result.only_in_first.push_back(a.name);
      continue;
    }
    if (a.shape != b->shape || a.dtype != b->dtype) {
      result.datasets.push_back(
          {.name = a.name, .first_form = form_of(a), .second_form = form_of(*b)});
      continue;
    }
    DatasetDifference found = compare_elements(first, a, second, *b, options);
    ++result.num_compared;
    result.num_elements += found.num_elements;
    if (found.num_different > 0) result.datasets.push_back(std::move(found));
  }
  for (const auto& b : second.manifest.datasets) {
    if (first.find(b.name) == nullptr) result.only_in_second.push_back(b.name);
  }
  return result;
}

}  // namespace concordat::checkpoint
