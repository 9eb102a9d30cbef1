#include "concordat/observe/metrics.hpp"

#include <charconv>
#include <cmath>

namespace concordat::observe {
namespace {

std::string json_text(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (each == '"' || each == '\\') {
      out += '\\';
      out += each;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    } else {
      out += each;
    }
  }
  return out + "\"";
}

// The shortest text that reads back as the same number.
template <typename Number>
std::string shortest(Number number) {
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return {text, end};
}

std::string json_of(bool value) { return value ? "true" : "false"; }
std::string json_of(std::int64_t value) { return shortest(value); }
std::string json_of(std::uint64_t value) { return shortest(value); }
std::string json_of(double value) { return std::isfinite(value) ? shortest(value) : "null"; }
std::string json_of(const std::string& value) { return json_text(value); }

}  // namespace

std::string Value::json() const {
  return std::visit([](const auto& value) { return json_of(value); }, value_);
}

std::string to_json(const Fields& fields) {
  std::string text = "{";
  for (const auto& [key, value] : fields) {
    if (text.size() > 1) text += ',';
    text += json_text(key) + ':' + value.json();
  }
  return text + '}';
}

MetricsWriter::MetricsWriter(FileSystem& fs, const FileSystem::Path& path, const Clock& clock)
    : clock_(clock) {
  bool torn = false;
  if (fs.exists(path)) {
    auto before = fs.open(path, OpenMode::read);
    const std::uint64_t size = before->size();
    std::uint8_t last = '\n';
    if (size > 0) before->read_at(size - 1, {&last, 1});
    torn = last != '\n';
  }
  file_ = fs.open(path, OpenMode::append);
  if (torn) file_->write(as_bytes("\n"));
}

void MetricsWriter::append(std::string_view event, const Fields& fields) {
  Fields line{{"event", std::string(event)}, {"time", clock_.unix_seconds()}};
  line.insert(line.end(), fields.begin(), fields.end());
  file_->write(as_bytes(to_json(line) + "\n"));
}

void MetricsWriter::sync() { file_->sync(); }

std::vector<std::string> read_metrics(FileSystem& fs, const FileSystem::Path& path) {
  std::vector<std::string> lines;
  if (!fs.exists(path)) return lines;
  const std::string text = read_text(fs, path, std::uint64_t{1} << 32U);
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    // A line that a crash tore has no closing brace: no field's text ends in one unquoted.
    if (end > begin + 1 && text[begin] == '{' && text[end - 1] == '}') {
      lines.push_back(text.substr(begin, end - begin));
    }
  }
  return lines;
}

}  // namespace concordat::observe
