#include "concordat/core/copy.hpp"

#include <omp.h>

#include <algorithm>
#include <cstring>

namespace concordat {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20U;
/// Below this waking the threads costs more than they save.
constexpr std::size_t smallest_parallel = 4 * piece_bytes;

}  // namespace

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes == 0) return;
  if (bytes < smallest_parallel || omp_get_max_threads() == 1 || omp_in_parallel() != 0) {
    std::memcpy(to, from, bytes);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::size_t at = 0; at < bytes; at += piece_bytes) {
    std::memcpy(to + at, from + at, std::min(piece_bytes, bytes - at));
  }
}

}  // namespace concordat
