#include "cli/spool_text.hpp"

#include <algorithm>

#include "concordat/observe/progress.hpp"

namespace concordat::cli {
namespace {

std::string time_text(std::int64_t seconds) {
  return observe::short_time(static_cast<double>(seconds));
}

}  // namespace

const border::SpoolLook::Way& leaving(const border::SpoolLook& look, SpoolEnd end) {
  return end == SpoolEnd::site ? look.up : look.down;
}

const border::SpoolLook::Way& arrived(const border::SpoolLook& look, SpoolEnd end) {
  return end == SpoolEnd::site ? look.down : look.up;
}

std::int64_t age_s(const border::SpoolLook::Way& way, std::int64_t now) {
  return way.files == 0 ? 0 : std::max<std::int64_t>(0, now - way.oldest_unix_seconds);
}

std::string way_text(const border::SpoolLook::Way& way, std::int64_t now) {
  if (way.files == 0) return "nothing";
  return std::to_string(way.files) + (way.files == 1 ? " file, " : " files, ") +
         observe::short_bytes(way.bytes) + ", the oldest for " + time_text(age_s(way, now));
}

std::string spool_text(const border::SpoolLook& look, SpoolEnd end, std::int64_t now) {
  std::string text = "up: " + way_text(look.up, now) + "; down: " + way_text(look.down, now);
  if (const auto age = age_s(leaving(look, end), now); age >= spool_is_late_s) {
    text += "; the mover has not come for " + time_text(age);
  }
  if (const auto age = age_s(arrived(look, end), now); age >= spool_is_late_s) {
    text += std::string("; the ") + (end == SpoolEnd::site ? "border" : "coordinator") +
            " has not taken what came for " + time_text(age);
  }
  return text;
}

}  // namespace concordat::cli
