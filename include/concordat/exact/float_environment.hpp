// StrictFloats: round to nearest, no flush-to-zero, no denormals-are-zero, for one scope.
//
// Other libraries set these bits per thread; with them `exact` would give other bits on that
// thread. Every entry point of `exact` that computes in floating point opens this scope itself.
//
//   StrictFloats strict;      // restores the thread's former mode at the end of the scope
#pragma once

namespace concordat::exact {

class StrictFloats {
 public:
  StrictFloats();
  ~StrictFloats();
  StrictFloats(const StrictFloats&) = delete;
  StrictFloats& operator=(const StrictFloats&) = delete;

 private:
  unsigned saved_;
};

}  // namespace concordat::exact
