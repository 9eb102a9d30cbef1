// Time limits as Slurm writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace concordat::cli {

/// Seconds of "minutes", "minutes:seconds", "hours:minutes:seconds", "days-hours",
/// "days-hours:minutes" or "days-hours:minutes:seconds"; nullopt for anything else and for 0.
std::optional<std::int64_t> slurm_seconds(std::string_view text);

/// What slurm_seconds() takes, for messages.
inline constexpr std::string_view slurm_time_forms =
    "minutes, hours:minutes:seconds or days-hours:minutes:seconds, such as 24:00:00 or 2-00:00:00";

}  // namespace concordat::cli
