#include "concordat/observe/progress.hpp"

#include <array>
#include <cmath>
#include <cstdio>

#include "concordat/core/error.hpp"
#include "concordat/core/seconds.hpp"

namespace concordat::observe {
namespace {

template <typename... Args>
std::string format(const char* pattern, Args... args) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, args...);
  return text.data();
}

}  // namespace

Progress::Progress(const Clock& clock, ProgressOptions options)
    : clock_(clock),
      options_(std::move(options)),
      begin_(clock.monotonic()),
      line_time_(begin_),
      done_(options_.start) {}

void Progress::advance(std::int64_t done, std::int64_t units,
                       std::optional<double> worked_seconds) {
  done_ = done;
  units_ = units;
  worked_ = worked_seconds;
}

std::string Progress::line(std::string_view detail) {
  const auto now = clock_.monotonic();
  const double stretch = worked_ ? *worked_ - line_worked_ : seconds(now - line_time_);
  const double elapsed = seconds(now - begin_);
  if (stretch > 0.0) rate_ = static_cast<double>(units_ - line_units_) / stretch;
  line_time_ = now;
  line_units_ = units_;
  line_worked_ = worked_.value_or(0.0);

  std::string text = options_.what + " " + std::to_string(done_);
  if (options_.total > 0) text += "/" + std::to_string(options_.total);
  if (!detail.empty()) text += "  " + std::string(detail);
  if (!options_.unit.empty()) text += "  " + short_count(rate_) + " " + options_.unit + "/s";
  text += "  elapsed " + short_time(elapsed);
  const std::int64_t worked = done_ - options_.start;
  if (options_.total > 0 && worked > 0) {
    const auto left = static_cast<double>(options_.total - done_);
    text += "  left " + short_time(elapsed * left / static_cast<double>(worked));
  }
  return text;
}

std::string short_count(double value) {
  if (!(std::fabs(value) >= 999.5)) return format("%.3g", value);
  static constexpr const char* suffixes[] = {"k", "M", "G", "T", "P"};
  int at = -1;
  while (std::fabs(value) >= 999.5 && at < 4) {
    value /= 1000.0;
    ++at;
  }
  return format("%.3g%s", value, suffixes[at]);
}

std::string short_time(double duration) {
  if (!(duration >= 0.0) || duration > 3.6e8) return "?";
  const auto total = static_cast<long>(std::lround(duration));
  if (total >= 3600) {
    return format("%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
  }
  return format("%ld:%02ld", total / 60, total % 60);
}

std::string short_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  static constexpr const char* suffixes[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024.0;
  int at = 0;
  while (value >= 1023.95 && at < 5) {
    value /= 1024.0;
    ++at;
  }
  return format("%.1f %s", value, suffixes[at]);
}

}  // namespace concordat::observe
