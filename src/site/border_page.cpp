#include "concordat/site/border_page.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "concordat/core/error.hpp"
#include "concordat/core/json_value.hpp"

namespace concordat::site {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 11> clauses{{
    {"idle", "waits for a training job"},
    {"ready", "waits until every site is ready"},
    {"missed", "takes the record of a round that went on without this site"},
    {"cosigned", "waits for the other sites' signatures on the manifest"},
    {"going", "waits for this site's masked update"},
    {"committed", "uploads this site's update, then waits for the other sites' updates"},
    {"agreed", "waits for the sum"},
    {"fetching", "fetches the sum"},
    {"received", "waits until every site has the sum"},
    {"closed", "closes the round"},
    {"finished", "has proved the final state"},
}};

}  // namespace

std::string BorderPage::text() const {
  if (!trouble.empty()) return "cannot reach the coordinator at " + coordinator + ": " + trouble;
  const auto* found = std::find_if(clauses.begin(), clauses.end(),
                                   [&](const auto& clause) { return clause.first == phase; });
  return found == clauses.end() ? "is in phase " + phase : std::string(found->second);
}

void write_border_page(FileSystem& fs, const FileSystem::Path& run_folder, const BorderPage& page) {
  JsonValue json = JsonValue::object();
  json.add("site", page.site)
      .add("coordinator", page.coordinator)
      .add("spool", page.spool)
      .add("round", page.round)
      .add("rounds", page.rounds)
      .add("phase", page.phase)
      .add("phase_since", page.phase_since)
      .add("reached", page.reached)
      .add("trouble", page.trouble)
      .add("trouble_since", page.trouble_since)
      .add("updated", page.updated)
      .add("end", page.end);
  write_atomically(fs, run_folder / border_page_name,
                   as_bytes(json.document(JsonValue::NotUtf8::replace)));
}

std::optional<BorderPage> read_border_page(FileSystem& fs, const FileSystem::Path& run_folder) {
  const FileSystem::Path path = run_folder / border_page_name;
  if (!fs.exists(path)) return std::nullopt;
  try {
    constexpr std::uint64_t longest = 64U << 10U;
    const std::string where = path.string();
    const JsonValue json = JsonValue::parse(read_text(fs, path, longest), where);
    const auto text = [&](const char* key) { return json.at(key, where).text(where); };
    const auto time = [&](const char* key) { return json.at(key, where).integer(where); };
    const auto count = [&](const char* key) {
      return static_cast<std::uint32_t>(json.at(key, where).natural(where));
    };
    return BorderPage{.site = text("site"),
                      .coordinator = text("coordinator"),
                      // Pages of before there was such a road have none.
                      .spool = json.find("spool") == nullptr ? "" : text("spool"),
                      .round = count("round"),
                      .rounds = count("rounds"),
                      .phase = text("phase"),
                      .phase_since = time("phase_since"),
                      .reached = time("reached"),
                      .trouble = text("trouble"),
                      .trouble_since = time("trouble_since"),
                      .updated = time("updated"),
                      .end = text("end")};
  } catch (const Error&) {
    return std::nullopt;  // a page for people: it never stands in anybody's way
  }
}

}  // namespace concordat::site
