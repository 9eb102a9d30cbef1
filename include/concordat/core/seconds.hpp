// Durations as numbers, for lines and figures.
#pragma once

#include <chrono>

namespace concordat {

inline double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace concordat
