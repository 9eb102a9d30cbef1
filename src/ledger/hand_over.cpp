#include "concordat/ledger/hand_over.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/ledger/errors.hpp"

namespace concordat::ledger {
namespace {

constexpr std::string_view entry_suffix = ".entry";
constexpr std::string_view answer_suffix = ".answer";
constexpr std::string_view temporary_mark = ".tmp-";
constexpr std::string_view answer_format = "concordat-answer-1";
constexpr std::uint64_t max_answer_bytes = 16U << 10U;
constexpr std::size_t max_reason_bytes = 2048;
constexpr std::size_t digest_digits = 64;
constexpr int sweeps_outlived = 5;

std::string text_of(const Entry& entry) { return to_line({0, 0, entry}) + "\n"; }

bool is_name(std::string_view text) {
  return text.size() == digest_digits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// "DIGEST.entry" -> "DIGEST", for the suffix asked for.
std::optional<std::string> name_in(std::string_view file, std::string_view suffix) {
  if (!file.ends_with(suffix)) return std::nullopt;
  const std::string_view name = file.substr(0, file.size() - suffix.size());
  return is_name(name) ? std::optional(std::string(name)) : std::nullopt;
}

[[noreturn]] void malformed(std::string what, std::string_view where, std::string found,
                            std::string expected) {
  throw Error(errors::malformed,
              {.what = std::move(what),
               .where = std::string(where),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "entries are handed over by this program alone: run the command again"});
}

void require_known_run(const Entry& entry, const Ledger& ledger, std::string_view where) {
  const std::string_view scope = scope_of(entry.key);
  if (scope.empty() || ledger.knows_run(scope)) return;
  malformed("the entry is of a run that this ledger does not know", where,
            "a key that begins with " + std::string(scope),
            "no run, or one whose agreement has its entry here");
}

}  // namespace

HandOver::HandOver(FileSystem& fs, Path folder) : fs_(fs), folder_(std::move(folder)) {
  if (!fs_.exists(folder_)) fs_.make_directories(folder_);
  crypto::require_private(fs_, folder_);
}

HandOver::Path HandOver::entry_path(std::string_view name) const {
  return folder_ / (std::string(name) + std::string(entry_suffix));
}

HandOver::Path HandOver::answer_path(std::string_view name) const {
  return folder_ / (std::string(name) + std::string(answer_suffix));
}

std::string HandOver::name_of(const Entry& entry) {
  return crypto::sha256(as_bytes(text_of(entry))).hex();
}

std::string HandOver::put(const Entry& entry) {
  require_as_built(entry, entry.kind + " entry " + entry.key);
  const std::string text = text_of(entry);
  const std::string name = crypto::sha256(as_bytes(text)).hex();
  if (waits(name)) return name;
  for (int left = sweeps_outlived;; --left) {
    try {
      create_atomically(fs_, entry_path(name), as_bytes(text));
      return name;
    } catch (const Error& error) {
      // Another process handed over the very same entry; its file is as good as ours.
      if (error.code() == concordat::errors::already_exists) return name;
      // A writer that starts sweeps half-written files away, this one's too.
      if (!(error.code() == concordat::errors::not_found) || left == 0) throw;
    }
  }
}

bool HandOver::waits(std::string_view name) const { return fs_.exists(entry_path(name)); }

std::optional<Answer> HandOver::answer(std::string_view name) const {
  const Path path = answer_path(name);
  if (!fs_.exists(path)) return std::nullopt;
  crypto::require_private(fs_, path);
  try {
    return answer_from(read_text(fs_, path, max_answer_bytes), name, path.string());
  } catch (const Error& error) {
    // Swept between the two looks.
    if (error.code() == concordat::errors::not_found) return std::nullopt;
    throw;
  }
}

void HandOver::forget(std::string_view name) {
  fs_.remove(entry_path(name));
  fs_.remove(answer_path(name));
}

std::vector<std::string> HandOver::waiting() const {
  std::vector<std::string> names;
  for (const std::string& file : fs_.list(folder_)) {
    if (auto name = name_in(file, entry_suffix)) names.push_back(std::move(*name));
  }
  return names;
}

void HandOver::sweep() {
  for (const std::string& file : fs_.list(folder_)) {
    const bool half = file.find(temporary_mark) != std::string::npos;
    if (half || name_in(file, answer_suffix)) fs_.remove_all(folder_ / file);
  }
}

// The name is the digest of the content, so it also says whether the file is whole.
Entry HandOver::readable(const std::string& name, const Ledger& ledger) const {
  const Path path = entry_path(name);
  crypto::require_private(fs_, path);
  if (fs_.is_directory(path)) malformed("this is no file", path.string(), "a folder", "one entry");
  const auto file = fs_.open(path, OpenMode::read);
  crypto::require_private(*file, path);
  const std::uint64_t size = file->size();
  if (size > max_line_bytes + 1) {
    malformed("the entry is too long", path.string(), std::to_string(size) + " bytes",
              "at most " + std::to_string(max_line_bytes + 1));
  }
  Bytes bytes(size);
  file->read_at(0, bytes);
  if (const std::string digest = crypto::sha256(bytes).hex(); digest != name) {
    malformed("the entry is not the one that its name says", path.string(), digest, name);
  }
  Entry entry = handed_entry_from(to_string(bytes), path.string());
  require_as_built(entry, path.string());
  require_known_run(entry, ledger, path.string());
  return entry;
}

void HandOver::write_answer(const std::string& name, const Answer& answer) {
  JsonValue json = JsonValue::object();
  json.add("format", answer_format).add("entry", name);
  if (answer.refused.empty()) {
    json.add("index", answer.index).add("found", answer.found);
  } else {
    json.add("refused", answer.refused).add("reason", answer.reason);
  }
  write_atomically(fs_, answer_path(name), as_bytes(json.document(JsonValue::NotUtf8::replace)));
}

void HandOver::refuse(Ledger& ledger, const std::string& name, const Error& error) {
  log::warn("an entry that was handed over is turned away: " + std::string(error.what()));
  Answer answer{.refused = std::string(error.code().name), .reason = error.what()};
  answer.reason.resize(std::min(answer.reason.size(), max_reason_bytes));
  ledger.append(refusal_entry("handover/" + name, error.code().name, error.fields().what));
  write_answer(name, answer);
  fs_.remove_all(entry_path(name));
}

Taken HandOver::take(Ledger& ledger) {
  Taken taken;
  std::vector<std::string> names = waiting();
  names.resize(std::min(names.size(), max_per_call));
  for (const std::string& name : names) {
    std::optional<Entry> entry;
    try {
      entry = readable(name, ledger);
    } catch (const Error& error) {
      if (error.code() == concordat::errors::not_found) continue;  // taken back
      refuse(ledger, name, error);
      ++taken.refused;
      continue;
    }
    Answer answer{.found = ledger.has_key(entry->key)};
    try {
      answer.index = ledger.append_keyed(*entry);
    } catch (const Error& error) {
      // Any other error is the ledger's own and ends its writer.
      if (!(error.code() == errors::conflict)) throw;
      refuse(ledger, name, error);
      ++taken.refused;
      continue;
    }
    kill_point("border.handed_written");
    write_answer(name, answer);
    kill_point("border.handed_answered");
    fs_.remove(entry_path(name));
    ++taken.written;
  }
  return taken;
}

Entry handed_entry_from(std::string_view text, std::string_view where) {
  if (!text.ends_with('\n')) malformed("the line does not end", where, "no line end", "one line");
  LoggedEntry logged = from_line(text.substr(0, text.size() - 1), where);
  if (logged.index != 0 || logged.unix_seconds != 0) {
    malformed(
        "place and time are the writer's to give", where,
        "index " + std::to_string(logged.index) + ", time " + std::to_string(logged.unix_seconds),
        "0 and 0");
  }
  return std::move(logged.entry);
}

Answer answer_from(std::string_view text, std::string_view name, std::string_view where) {
  const JsonValue json =
      JsonValue::parse(text, where, {.max_bytes = max_answer_bytes, .max_members = 4});
  const auto& members = json.members(where);
  const auto require = [&](bool good, std::string_view what) {
    if (good) return;
    throw Error(concordat::errors::malformed,
                {.what = "this is no answer of a ledger's writer: " + std::string(what),
                 .where = std::string(where),
                 .found = std::to_string(members.size()) + " members",
                 .expected = "format, entry, and index and found, or refused and reason",
                 .remedy = "remove the file and run the command again"});
  };
  require(members.size() == 4, "it has other members");
  require(json.at("format", where).text(where) == answer_format, "its format is another");
  require(json.at("entry", where).text(where) == name, "it names another entry");
  Answer answer;
  if (json.find("refused") != nullptr) {
    answer.refused = json.at("refused", where).text(where);
    answer.reason = json.at("reason", where).text(where);
    require(!answer.refused.empty(), "it has no code");
  } else {
    answer.index = json.at("index", where).natural(where);
    answer.found = json.at("found", where).boolean(where);
  }
  return answer;
}

}  // namespace concordat::ledger
