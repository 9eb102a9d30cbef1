// Splits independent rows over the OpenMP pool. Row results do not depend on the split, so neither
// do the bits on the number of threads, nor on which thread takes which range: processors that are
// shared with others do not run evenly, so a thread that is done takes the next range.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace concordat::device {

/// Below this many elements a parallel region costs more than it saves.
inline constexpr std::int64_t smallest_parallel_work = 32768;

/// A range is at least this much work, where there are several per thread.
inline constexpr std::int64_t smallest_range_work = 65536;
inline constexpr std::int64_t ranges_per_thread = 8;

/// Calls work(begin, end) on consecutive ranges of [0, rows), at most ranges_per_thread each.
template <typename Work>
void parallel_rows(std::int64_t rows, std::int64_t elements_per_row, Work&& work) {
  const bool worth = rows > 1 && rows * elements_per_row >= smallest_parallel_work &&
                     omp_get_max_threads() > 1 && omp_in_parallel() == 0;
  if (!worth) {
    if (rows > 0) work(std::int64_t{0}, rows);
    return;
  }
  const std::int64_t threads = omp_get_max_threads();
  const std::int64_t pieces = std::clamp(rows * elements_per_row / smallest_range_work, threads,
                                         threads * ranges_per_thread);
  const std::int64_t ranges = std::min(pieces, rows);
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t range = 0; range < ranges; ++range) {
    work(rows * range / ranges, rows * (range + 1) / ranges);
  }
}

}  // namespace concordat::device
