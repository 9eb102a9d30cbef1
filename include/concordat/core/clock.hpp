// The clock seam: production reads the system, tests move time themselves.
#pragma once

#include <chrono>
#include <cstdint>

namespace concordat {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Monotonic time for waits and rates.
  virtual std::chrono::nanoseconds monotonic() const = 0;
  /// Seconds since 1970 in UTC; written into records, never read by a safety check.
  virtual std::int64_t unix_seconds() const = 0;
  virtual void sleep(std::chrono::nanoseconds duration) = 0;
};

/// The machine's clock; lives for the whole program.
Clock& system_clock();

}  // namespace concordat
