// Copies of host memory that one thread would take noticeable time for.
#pragma once

#include <cstddef>

namespace concordat {

/// Like std::memcpy; large ones by all threads of the caller's OpenMP pool, which must be idle.
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes);

}  // namespace concordat
