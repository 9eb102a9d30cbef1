// One entry as one line, in exactly one form. The reader is written by hand because it has to
// refuse what a general JSON reader accepts: spaces, other escapes, other key orders, duplicates.
#include "concordat/ledger/entry.hpp"

#include <algorithm>

#include "concordat/ledger/errors.hpp"
#include "ledger/text.hpp"

namespace concordat::ledger {
namespace {

[[noreturn]] void malformed(std::string what, std::string_view where, std::string found = {},
                            std::string expected = {}) {
  throw Error(errors::malformed, {.what = std::move(what),
                                  .where = std::string(where),
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .remedy = "restore the file from a copy; a ledger is never "
                                            "edited by hand"});
}

void require_entry(const Entry& entry, std::string_view where) {
  if (entry.kind.empty() || entry.key.empty()) malformed("kind or key is empty", where);
  if (!is_utf8(entry.kind) || !is_utf8(entry.key)) malformed("kind or key is not UTF-8", where);
  for (std::size_t i = 0; i < entry.fields.size(); ++i) {
    const auto& [name, value] = entry.fields[i];
    if (name.empty()) malformed("a field has no name", where);
    if (!is_utf8(name) || !is_utf8(value)) malformed("field '" + name + "' is not UTF-8", where);
    for (std::size_t j = 0; j < i; ++j) {
      if (entry.fields[j].first == name) malformed("field '" + name + "' stands twice", where);
    }
  }
}

/// A cursor over one line that knows only the form that to_line writes.
class LineParser {
 public:
  LineParser(std::string_view line, std::string_view where) : line_(line), where_(where) {}

  void literal(std::string_view text) {
    if (!line_.substr(at_).starts_with(text)) {
      malformed("the line is not an entry", where_, excerpt(), std::string(text));
    }
    at_ += text.size();
  }

  bool next_is(char c) const { return at_ < line_.size() && line_[at_] == c; }

  std::uint64_t number() {
    std::size_t end = at_;
    while (end < line_.size() && line_[end] >= '0' && line_[end] <= '9') ++end;
    const auto value = parse_decimal(line_.substr(at_, end - at_));
    if (!value) malformed("a number is wanted", where_, excerpt(), "decimal digits");
    at_ = end;
    return *value;
  }

  std::string string() {
    literal("\"");
    std::string text;
    while (!next_is('"')) {
      if (at_ >= line_.size()) malformed("a string does not end", where_);
      const char c = line_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) malformed("a bare control character", where_);
      text += c == '\\' ? escape() : c;
    }
    ++at_;
    return text;
  }

  void finish() const {
    if (at_ != line_.size()) malformed("something follows the entry", where_, excerpt());
  }

 private:
  char escape() {
    if (next_is('"') || next_is('\\')) return line_[at_++];
    const std::string_view rest = line_.substr(at_);
    if (rest.size() >= 5 && rest.starts_with("u00")) {
      const int high = hex(rest[3]);
      const int low = hex(rest[4]);
      const int value = high * 16 + low;
      if (high >= 0 && low >= 0 && value < 0x20) {
        at_ += 5;
        return static_cast<char>(value);
      }
    }
    malformed("an escape that this format does not have", where_, excerpt(),
              "\\\", \\\\ or \\u00xx below 0x20 in lower case");
  }

  static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  }

  std::string excerpt() const {
    if (at_ >= line_.size()) return "end of line";
    std::string text = "'" + std::string(line_.substr(at_, 40)) + "' at byte ";
    return is_utf8(text) ? text + std::to_string(at_) : "bytes at " + std::to_string(at_);
  }

  std::string_view line_;
  std::string_view where_;
  std::size_t at_ = 0;
};

}  // namespace

const std::string* Entry::find(std::string_view name) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; });
  return found == fields.end() ? nullptr : &found->second;
}

const std::string& Entry::at(std::string_view name) const {
  if (const std::string* value = find(name)) return *value;
  malformed("field '" + std::string(name) + "' is missing", kind + " entry " + key);
}

std::string to_line(const LoggedEntry& logged) {
  const Entry& entry = logged.entry;
  const std::string where = "entry " + entry.key;
  require_entry(entry, where);
  if (logged.unix_seconds < 0) malformed("a time before 1970", where);
  std::string line = "{\"index\":" + std::to_string(logged.index) +
                     ",\"time\":" + std::to_string(logged.unix_seconds) + ",\"kind\":";
  append_json_string(line, entry.kind);
  line += ",\"key\":";
  append_json_string(line, entry.key);
  line += ",\"fields\":{";
  for (std::size_t i = 0; i < entry.fields.size(); ++i) {
    if (i > 0) line += ',';
    append_json_string(line, entry.fields[i].first);
    line += ':';
    append_json_string(line, entry.fields[i].second);
  }
  line += "}}";
  if (line.size() > max_line_bytes) {
    malformed("the entry is too long", where, std::to_string(line.size()) + " bytes",
              "at most " + std::to_string(max_line_bytes));
  }
  return line;
}

LoggedEntry from_line(std::string_view line, std::string_view where) {
  if (line.size() > max_line_bytes) {
    malformed("the line is too long", where, std::to_string(line.size()) + " bytes");
  }
  LineParser in(line, where);
  LoggedEntry logged;
  in.literal("{\"index\":");
  logged.index = in.number();
  in.literal(",\"time\":");
  const std::uint64_t seconds = in.number();
  if (seconds >> 63U != 0) malformed("the time is out of range", where);
  logged.unix_seconds = static_cast<std::int64_t>(seconds);
  in.literal(",\"kind\":");
  logged.entry.kind = in.string();
  in.literal(",\"key\":");
  logged.entry.key = in.string();
  in.literal(",\"fields\":{");
  while (!in.next_is('}')) {
    if (!logged.entry.fields.empty()) in.literal(",");
    std::string name = in.string();
    in.literal(":");
    logged.entry.fields.emplace_back(std::move(name), in.string());
  }
  in.literal("}}");
  in.finish();
  require_entry(logged.entry, where);
  return logged;
}

}  // namespace concordat::ledger
