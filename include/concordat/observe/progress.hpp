// Progress lines: plain text, one line per log step, with rate and time left.
//
//   observe::Progress progress(clock, {.what = "step", .unit = "tokens", .total = 360});
//   progress.advance(30, 30 * 2048);
//   progress.line("loss 2.31");
//   // "step 30/360  loss 2.31  81.2k tokens/s  elapsed 0:12  left 2:04"
//
// The rate is that of the latest stretch between lines, of the time that was worked where the
// caller says how much; the time left follows from the steps and everything that passed, waits
// included. Returns text and prints nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "concordat/core/clock.hpp"

namespace concordat::observe {

struct ProgressOptions {
  std::string what = "step";
  std::string unit = "tokens";  ///< empty: no rate
  std::int64_t total = 0;       ///< 0: unknown, no time left
  std::int64_t start = 0;       ///< where a resumed run begins
};

class Progress {
 public:
  Progress(const Clock& clock, ProgressOptions options);
  /// `done` is the count so far, `units` what has been worked since the construction.
  /// `worked_seconds`: how much of the time since then went into these; absent: all of it.
  void advance(std::int64_t done, std::int64_t units, std::optional<double> worked_seconds = {});
  std::string line(std::string_view detail);
  /// Units per second between the latest two lines.
  double rate() const { return rate_; }

 private:
  const Clock& clock_;
  ProgressOptions options_;
  std::chrono::nanoseconds begin_;
  std::chrono::nanoseconds line_time_;
  std::int64_t done_ = 0;
  std::int64_t units_ = 0;
  std::int64_t line_units_ = 0;
  std::optional<double> worked_{};
  double line_worked_ = 0.0;
  double rate_ = 0.0;
};

/// "81.2k", "3.1M"; "0:12", "2:03:04"; "1.5 MiB".
std::string short_count(double value);
std::string short_time(double seconds);
std::string short_bytes(std::uint64_t bytes);

}  // namespace concordat::observe
