#include <algorithm>
#include <array>
#include <charconv>

#include "cli/spool_text.hpp"
#include "cli/status_print.hpp"
#include "cli/status_view.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/json_value.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

using Path = std::filesystem::path;

/// Keys of status.json that stand in other rows, or only repeat one.
constexpr std::array<std::string_view, 7> told{"coordinator", "round", "rounds", "phase",
                                               "waiting_for", "spool", "end"};

std::uint64_t number_of(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string spoken(std::string_view key) {
  std::string text(key);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

/// One member of status.json for people; "" if there is nothing to say.
std::string member_row(const std::string& key, const std::string& value, std::int64_t now) {
  if (value.empty() || std::find(told.begin(), told.end(), key) != told.end()) return "";
  if (key == "refused_messages" && value == "0") return "";
  if (key == "updated_unix_seconds") {
    return status_row("updated", ago(static_cast<std::int64_t>(number_of(value)), now));
  }
  if (key == "peak_in_flight_bytes") {
    return status_row("in flight", "at most " + observe::short_bytes(number_of(value)) + " so far");
  }
  if (key == "peak_resident_bytes") {
    return status_row("memory", "at most " + observe::short_bytes(number_of(value)) + " so far");
  }
  if (key == "refused_messages") return status_row("refused", value + " messages");
  return status_row(spoken(key), value);
}

std::string running_text(const Holder& holder, const std::string& end) {
  if (holder.held) return "running: " + holder.line;
  std::string text = "not running as seen from this host";
  if (end == "done") return text + "; it ended: the run is over";
  if (end == "saved") return text + "; it was stopped: the same command goes on";
  if (!end.empty()) return text + "; it failed with " + end + ": its log says more";
  if (!holder.line.empty()) text += "; last: " + holder.line;
  return text;
}

/// A row for each site with a folder in the spool, which `said` names. Of a copy, or seen from
/// another machine, that may not be there.
std::string spool_rows(FileSystem& fs, const std::string& said, const Path& folder,
                       std::int64_t now) {
  if (said.empty()) return "";
  const Path spool = fs.is_directory(said) ? Path(said) : folder / "spool";
  std::string rows;
  for (const std::string& site : fs.list(spool)) {
    if (!fs.is_directory(spool / site / "up")) continue;
    const auto look = border::look_at_spool(fs, spool / site);
    rows += status_row("spool " + site, spool_text(look, SpoolEnd::coordinator, now));
  }
  return rows;
}

}  // namespace

std::string coordinator_status(const Path& folder, std::int64_t now) {
  FileSystem& fs = posix_files();
  const Holder holder = look_at_lock(fs, folder / "coordinator.lock");
  const Path path = folder / "status.json";
  if (!fs.exists(path)) {
    return status_row("coordinator", running_text(holder, "")) +
           status_row("state", "it has not run far enough to say");
  }
  std::string rows;
  std::string name;
  std::string end;
  std::string spool;
  try {
    const std::string where = path.string();
    const JsonValue json = JsonValue::parse(read_text(fs, path), where);
    for (const auto& [key, value] : json.members(where)) {
      const bool is_text = value.kind() == JsonValue::Kind::text;
      const std::string text = is_text ? value.text(where) : value.described();
      if (key == "coordinator") name = text;
      if (key == "end") end = text;
      if (key == "spool") spool = text;
      rows += member_row(key, text, now);
    }
  } catch (const Error& error) {
    rows = status_row("state", std::string("unknown: ") + error.what());
  }
  return status_row("coordinator", (name.empty() ? "" : name + ", ") + running_text(holder, end)) +
         rows + spool_rows(fs, spool, folder, now);
}

}  // namespace concordat::cli
