#include "site/text_record.hpp"

#include <charconv>
#include <utility>

#include "concordat/core/error.hpp"
#include "concordat/site/errors.hpp"

namespace concordat::site {

void TextWriter::add(std::string_view key, std::string_view value) {
  CONCORDAT_REQUIRE(value.find('\n') == std::string_view::npos, std::string(key));
  text_.append(key).append(" = ").append(value).append("\n");
}

TextRecord::TextRecord(std::string text, std::string_view title, std::string where)
    : text_(std::move(text)), where_(std::move(where)) {
  const std::string found = next_line();
  if (found != title) refuse("the file has another title", found, title);
}

std::string TextRecord::next_line() {
  ++line_;
  const std::size_t end = text_.find('\n', at_);
  if (end == std::string::npos) refuse("the file ends early", "no further whole line", "a line");
  std::string line = text_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

std::string TextRecord::text(std::string_view key) {
  const std::string line = next_line();
  const std::string head = std::string(key) + " = ";
  if (line.compare(0, head.size(), head) != 0) {
    refuse("a line has another key", line.substr(0, 60), head + "...");
  }
  return line.substr(head.size());
}

std::uint64_t TextRecord::number(std::string_view key, std::uint64_t max) {
  const std::string value = text(key);
  std::uint64_t number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, status] = std::from_chars(value.data(), end, number);
  // One form per number: no leading zeros.
  const bool one_form = value.size() == 1 || value.front() != '0';
  if (status != std::errc{} || stop != end || value.empty() || !one_form || number > max) {
    refuse(std::string(key) + " is no number of the range", value, "0 to " + std::to_string(max));
  }
  return number;
}

Digest TextRecord::digest(std::string_view key) {
  const std::string value = text(key);
  try {
    return digest_from_hex(value, where_);
  } catch (const Error&) {
    refuse(std::string(key) + " is no digest", value.substr(0, 80), "64 hex digits");
  }
}

void TextRecord::finish() const {
  if (at_ != text_.size()) {
    refuse("the file goes on", std::to_string(text_.size() - at_) + " more bytes", "its end");
  }
}

void TextRecord::refuse(std::string_view what, std::string_view found,
                        std::string_view expected) const {
  throw Error(errors::bad_run_file,
              {.what = std::string(what),
               .where = where_ + ", line " + std::to_string(line_),
               .found = std::string(found),
               .expected = std::string(expected),
               .remedy = "files of the run folder are written by this program alone; if this one "
                         "was edited or damaged, restore it"});
}

}  // namespace concordat::site
