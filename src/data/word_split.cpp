#include "data/word_split.hpp"

#include <algorithm>
#include <vector>

#include "data/unicode_classes.hpp"

namespace concordat::data {
namespace {

enum class Class : std::uint8_t { letter, number, space, other };

struct Point {
  char32_t value;
  Class kind;
  std::size_t begin;  // in bytes
};

std::vector<Point> decode_points(ByteView text) {
  std::vector<Point> points;
  points.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    const std::uint8_t lead = text[at];
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t value = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) value = (value << 6U) | (text[at + i] & 0x3fU);
    const Class kind = is_letter(value)   ? Class::letter
                       : is_number(value) ? Class::number
                       : is_space(value)  ? Class::space
                                          : Class::other;
    points.push_back({value, kind, at});
    at += length;
  }
  return points;
}

class Splitter {
 public:
  explicit Splitter(const std::vector<Point>& points) : points_(points) {}

  /// One past the last point of the word that begins at i.
  std::size_t gpt2(std::size_t i) const {
    if (const std::size_t end = contraction(i, false)) return end;
    const std::size_t first = points_[i].value == ' ' ? i + 1 : i;
    if (first < points_.size() && points_[first].kind != Class::space) {
      return run(first, points_[first].kind);
    }
    return spaces(i);
  }

  std::size_t llama3(std::size_t i) const {
    if (const std::size_t end = contraction(i, true)) return end;
    if (is(i, Class::letter)) return run(i, Class::letter);
    const bool line_end = points_[i].value == '\r' || points_[i].value == '\n';
    if (!line_end && !is(i, Class::number) && is(i + 1, Class::letter)) {
      return run(i + 1, Class::letter);
    }
    if (is(i, Class::number)) return std::min(run(i, Class::number), i + 3);
    const std::size_t first = points_[i].value == ' ' ? i + 1 : i;
    if (is(first, Class::other)) {
      std::size_t end = run(first, Class::other);
      while (end < points_.size() && (points_[end].value == '\r' || points_[end].value == '\n')) {
        ++end;
      }
      return end;
    }
    // Up to the last line end of the run of spaces, if it has one.
    const std::size_t end = run(i, Class::space);
    for (std::size_t last = end; last > i; --last) {
      const char32_t value = points_[last - 1].value;
      if (value == '\r' || value == '\n') return last;
    }
    return spaces(i);
  }

 private:
  bool is(std::size_t i, Class kind) const { return i < points_.size() && points_[i].kind == kind; }
  std::size_t run(std::size_t i, Class kind) const {
    while (is(i, kind)) ++i;
    return i;
  }
  /// A run of spaces leaves its last one to the word behind it, unless it is alone.
  std::size_t spaces(std::size_t i) const {
    const std::size_t end = run(i, Class::space);
    return end < points_.size() && end - i > 1 ? end - 1 : end;
  }
  std::size_t contraction(std::size_t i, bool any_case) const {
    if (points_[i].value != '\'') return 0;
    const auto letter = [&](std::size_t at) -> char32_t {
      if (at >= points_.size()) return 0;
      const char32_t value = points_[at].value;
      if (!any_case) return value;
      if (value == 0x17f) return 's';  // the long s folds to s
      return value >= 'A' && value <= 'Z' ? value + ('a' - 'A') : value;
    };
    const char32_t a = letter(i + 1);
    const char32_t b = letter(i + 2);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
    return 0;
  }

  const std::vector<Point>& points_;
};

/// Where a long text may be cut: no word of either pattern spans a line end and what is no space.
std::size_t safe_cut(ByteView text) {
  constexpr std::size_t piece_bytes = std::size_t{1} << 20U;
  for (std::size_t at = piece_bytes; at < text.size(); ++at) {
    if (text[at - 1] == '\n' && text[at] > ' ' && text[at] < 0x7f) return at;
  }
  return text.size();
}

}  // namespace

void split_words(ByteView text, WordPattern pattern, const std::function<void(ByteView)>& each) {
  while (!text.empty()) {
    const std::size_t cut = safe_cut(text);
    // The one byte behind the cut is seen: whether a run of spaces ends the text matters.
    const std::size_t seen = std::min(cut + 1, text.size());
    const std::vector<Point> points = decode_points(text.first(seen));
    const Splitter splitter(points);
    for (std::size_t i = 0; i < points.size() && points[i].begin < cut;) {
      const std::size_t end = pattern == WordPattern::gpt2 ? splitter.gpt2(i) : splitter.llama3(i);
      const std::size_t end_byte = end < points.size() ? points[end].begin : seen;
      each(text.subspan(points[i].begin, end_byte - points[i].begin));
      i = end;
    }
    text = text.subspan(cut);
  }
}

}  // namespace concordat::data
