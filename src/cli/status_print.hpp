// The parts of `concordat status`, as text for a terminal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace concordat::cli {

/// "label       text\n".
std::string status_row(std::string_view label, std::string_view text);
/// "12 s ago", "3:05 ago", ...; "just now" for the last two seconds and for clocks that are ahead
/// by up to a minute. More than that is said: a clock was set, and ages mean little.
std::string ago(std::int64_t unix_seconds, std::int64_t now);

/// A run of a site. `site` is the site's folder.
std::string run_status(const std::filesystem::path& run, const std::filesystem::path& site,
                       std::int64_t now);
/// A coordinator, from its status.json and its lock.
std::string coordinator_status(const std::filesystem::path& folder, std::int64_t now);

}  // namespace concordat::cli
