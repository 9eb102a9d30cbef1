// Time that only tests move: a look costs a millisecond, a sleep passes at once.
#pragma once

#include "concordat/core/clock.hpp"

namespace concordat::site::testing {

class TestClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override {
    return now_ += std::chrono::milliseconds(1);
  }
  std::int64_t unix_seconds() const override { return 1'800'000'000; }
  void sleep(std::chrono::nanoseconds duration) override { now_ += duration; }

 private:
  mutable std::chrono::nanoseconds now_{1};
};

}  // namespace concordat::site::testing
