#include "site/donation_request.hpp"

#include <algorithm>

#include "concordat/core/error.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/site/donate.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {
namespace {

constexpr std::uint64_t max_bytes = 1024;

FileSystem::Path request_file(const FileSystem::Path& run_folder) { return run_folder / "DONATE"; }
FileSystem::Path need_file(const FileSystem::Path& run_folder) {
  return run_folder / "NEEDS_STATE";
}

std::optional<std::string> read_name(FileSystem& fs, const FileSystem::Path& path) {
  if (!fs.exists(path)) return std::nullopt;
  std::string name = read_text(fs, path, max_bytes);
  while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) name.pop_back();
  return name;
}

}  // namespace

void write_donation_request(FileSystem& fs, const FileSystem::Path& run_folder,
                            const std::string& site) {
  write_atomically(fs, request_file(run_folder), as_bytes(site + "\n"));
}

std::optional<std::string> read_donation_request(FileSystem& fs,
                                                 const FileSystem::Path& run_folder) {
  return read_name(fs, request_file(run_folder));
}

void clear_donation_request(FileSystem& fs, const FileSystem::Path& run_folder) {
  fs.remove(request_file(run_folder));
}

void write_needed_state(FileSystem& fs, const FileSystem::Path& run_folder,
                        const std::optional<NeededState>& needed) {
  if (!needed) {
    fs.remove(need_file(run_folder));
    return;
  }
  const std::string text = needed->donor + "\n" + ExchangeId{needed->through, {}, {}}.text() + "\n";
  const FileSystem::Path path = need_file(run_folder);
  if (fs.exists(path) && read_text(fs, path, max_bytes) == text) return;
  write_atomically(fs, path, as_bytes(text));
}

std::optional<NeededState> read_needed_state(FileSystem& fs, const FileSystem::Path& run_folder) {
  const auto text = read_name(fs, need_file(run_folder));
  if (!text) return std::nullopt;
  const std::size_t line = std::min(text->find('\n'), text->size());
  const std::string through = text->substr(std::min(line + 1, text->size()));
  return NeededState{
      .donor = text->substr(0, line),
      .through = ledger::exchange_from(through, need_file(run_folder).string()).round};
}

void ask_to_donate(FileSystem& fs, const SiteSettings& settings, const federation::Roster& roster,
                   const std::string& to) {
  CONCORDAT_REQUIRE(settings.federation.has_value(), settings.name);
  const auto& allowed = settings.federation->donate_to;
  const bool a_site = std::ranges::any_of(
      roster.sites, [&](const federation::Member& site) { return site.name == to; });
  if (!a_site || to == settings.name) {
    throw Error(concordat::errors::usage, {.what = "a state goes to another site of the roster",
                                           .where = "concordat donate --to",
                                           .found = to.empty() ? "nothing" : to,
                                           .expected = "the name of another site",
                                           .remedy = "concordat roster show names them"});
  }
  if (std::ranges::find(allowed, to) == allowed.end()) {
    throw Error(concordat::errors::usage,
                {.what = "this site's configuration does not give its state to that site",
                 .where = "federation.donate_to",
                 .found = "without " + to,
                 .expected = to + " in the list",
                 .remedy = "add it, start the border and the training job again, and ask then"});
  }
  write_donation_request(fs, RunFolder(fs, settings.run_folder()).root(), to);
}

}  // namespace concordat::site
