#include "cli/slurm_time.hpp"

#include <charconv>
#include <vector>

namespace concordat::cli {
namespace {

constexpr std::int64_t most = 1'000'000;  // of any unit: no sum of them overflows

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = status == std::errc() && end == text.data() + text.size();
  if (!whole || value < 0 || value > most) return std::nullopt;
  return value;
}

/// The numbers between colons; empty if one of them is none.
std::vector<std::int64_t> numbers(std::string_view text) {
  std::vector<std::int64_t> list;
  while (true) {
    const std::size_t colon = text.find(':');
    const auto value = number(text.substr(0, colon));
    if (!value) return {};
    list.push_back(*value);
    if (colon == std::string_view::npos) return list;
    text.remove_prefix(colon + 1);
  }
}

}  // namespace

std::optional<std::int64_t> slurm_seconds(std::string_view text) {
  constexpr std::int64_t minute = 60, hour = 3600, day = 86400;
  std::int64_t seconds = 0;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto days = number(text.substr(0, dash));
    const auto rest = numbers(text.substr(dash + 1));
    if (!days || rest.empty() || rest.size() > 3) return std::nullopt;
    seconds = *days * day + rest[0] * hour;
    if (rest.size() > 1) seconds += rest[1] * minute;
    if (rest.size() > 2) seconds += rest[2];
  } else {
    const auto parts = numbers(text);
    if (parts.empty() || parts.size() > 3) return std::nullopt;
    if (parts.size() == 3) {
      seconds = parts[0] * hour + parts[1] * minute + parts[2];
    } else {
      seconds = parts[0] * minute + (parts.size() == 2 ? parts[1] : 0);
    }
  }
  if (seconds == 0) return std::nullopt;
  return seconds;
}

}  // namespace concordat::cli
