// The clock. No safety check of Concordat reads it; ledgers, logs and time limits do.
#include <algorithm>
#include <cstdlib>

#include "cli/doctor_checks.hpp"
#include "cli/doctor_workbench.hpp"

namespace concordat::cli::doctor {
namespace {

constexpr std::int64_t allowed_skew_s = 2;
constexpr std::int64_t start_of_2025 = 1'735'689'600;
constexpr const char* remedy =
    "synchronise with NTP or chrony; times in ledgers and logs come from this clock";

}  // namespace

Findings check_clock(const FileSeams& seams, const Path& folder) {
  Findings findings;
  const std::int64_t now = seams.clock.unix_seconds();
  if (now < start_of_2025) {
    findings.push_back(fail(
        "clock", "the clock says " + std::to_string(now) + " s since 1970, years ago", remedy));
  }
  const auto before = seams.clock.monotonic();
  seams.clock.sleep(std::chrono::milliseconds(2));
  if (seams.clock.monotonic() <= before) {
    findings.push_back(fail("clock", "the monotonic clock does not go forward",
                            "waits and time limits cannot work here: show this to who runs the "
                            "machine"));
  }
  if (folder.empty()) {
    if (findings.empty()) findings.push_back(ok("clock", "goes forward"));
    return findings;
  }
  attempt(findings, "clock", [&] {
    const Workbench bench(seams.fs, nearest_folder(seams.fs, folder));
    const Path at = bench.path() / "clock";
    const std::int64_t earliest = seams.clock.unix_seconds();
    {
      auto file = seams.fs.open(at, OpenMode::create_exclusive);
      file->write(as_bytes("clock\n"));
      file->sync();
    }
    const std::int64_t modified = seams.modified(at);
    const std::int64_t latest = seams.clock.unix_seconds();
    const std::int64_t skew = modified > latest     ? modified - latest
                              : modified < earliest ? modified - earliest
                                                    : 0;
    if (std::abs(skew) > allowed_skew_s) {
      findings.push_back(warn("clock",
                              "the file system's clock is " + std::to_string(std::abs(skew)) +
                                  " s " + (skew > 0 ? "ahead of" : "behind") + " this machine's",
                              remedy));
    } else {
      findings.push_back(ok("clock", "goes forward, and the file system's agrees with it"));
    }
  });
  return findings;
}

Findings check_clocks(const std::vector<std::int64_t>& seconds,
                      const comm::PlacementReport& report) {
  if (seconds.size() < 2) return {};
  const auto [low, high] = std::minmax_element(seconds.begin(), seconds.end());
  const std::int64_t spread = *high - *low;
  // Ranks that share a processor need not answer at the same moment.
  constexpr std::int64_t allowed_spread_s = 5;
  if (spread <= allowed_spread_s) {
    return {ok("clock", "the ranks' clocks are at most " + std::to_string(spread) + " s apart")};
  }
  const auto late = static_cast<std::size_t>(high - seconds.begin());
  const auto early = static_cast<std::size_t>(low - seconds.begin());
  return {warn("clock",
               "the clocks of " + report.ranks[late].host + " and " + report.ranks[early].host +
                   " are " + std::to_string(spread) + " s apart",
               remedy)};
}

}  // namespace concordat::cli::doctor
