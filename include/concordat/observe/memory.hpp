// What the operating system says about this process's memory.
//
//   const auto before = observe::process_memory();
//   ... the first step ...
//   observe::process_memory().peak_bytes - before.resident_bytes;   // what it grew by at most
//
// Linux: VmRSS and VmHWM of /proc/self/status. Zero where that file is not to be had.
#pragma once

#include <cstdint>

namespace concordat::observe {

struct ProcessMemory {
  std::uint64_t resident_bytes = 0;
  std::uint64_t peak_bytes = 0;  ///< the largest resident size so far
};

ProcessMemory process_memory();

}  // namespace concordat::observe
