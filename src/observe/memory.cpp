#include "concordat/observe/memory.hpp"

#include <fstream>
#include <string>

namespace concordat::observe {

ProcessMemory process_memory() {
  ProcessMemory found;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    const auto kib_behind = [&](std::size_t at) { return std::stoull(line.substr(at)) * 1024U; };
    if (line.starts_with("VmRSS:")) found.resident_bytes = kib_behind(6);
    if (line.starts_with("VmHWM:")) found.peak_bytes = kib_behind(6);
  }
  return found;
}

}  // namespace concordat::observe
