// Splits independent rows over the OpenMP pool. Row results do not depend on the split, so neither
// do the bits on the number of threads.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace concordat::device {

/// Below this many elements a parallel region costs more than it saves.
inline constexpr std::int64_t smallest_parallel_work = 32768;

/// Calls work(begin, end) on consecutive ranges of [0, rows), one per thread.
template <typename Work>
void parallel_rows(std::int64_t rows, std::int64_t elements_per_row, Work&& work) {
  const bool worth = rows > 1 && rows * elements_per_row >= smallest_parallel_work &&
                     omp_get_max_threads() > 1 && omp_in_parallel() == 0;
  if (!worth) {
    if (rows > 0) work(std::int64_t{0}, rows);
    return;
  }
#pragma omp parallel
  {
    const std::int64_t threads = omp_get_num_threads();
    const std::int64_t me = omp_get_thread_num();
    const std::int64_t begin = rows * me / threads;
    const std::int64_t end = rows * (me + 1) / threads;
    if (begin < end) work(begin, end);
  }
}

}  // namespace concordat::device
