// What lies in a spool, as text for people.
//
//   spool_text(border::look_at_spool(fs, folder), SpoolEnd::site, now);
//   // "up: 3 files, 1.2 MiB, the oldest for 12:03; down: nothing. The mover has not come for
//   12:03"
#pragma once

#include <cstdint>
#include <string>

#include "concordat/border/spool_road.hpp"

namespace concordat::cli {

enum class SpoolEnd { site, coordinator };

/// Longer than that between two passes, and something may be wrong.
inline constexpr std::int64_t spool_is_late_s = 600;

/// What is to leave from this end: the mover's work.
const border::SpoolLook::Way& leaving(const border::SpoolLook& look, SpoolEnd end);
/// What came to this end: the work of the border, or of the coordinator.
const border::SpoolLook::Way& arrived(const border::SpoolLook& look, SpoolEnd end);
/// For how long the oldest file lies there; 0 without one.
std::int64_t age_s(const border::SpoolLook::Way& way, std::int64_t now);

/// "3 files, 1.2 MiB, the oldest for 12:03", or "nothing".
std::string way_text(const border::SpoolLook::Way& way, std::int64_t now);
/// Both ways, and what it means where something is late.
std::string spool_text(const border::SpoolLook& look, SpoolEnd end, std::int64_t now);

}  // namespace concordat::cli
