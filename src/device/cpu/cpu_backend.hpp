// The fast back end: oneDNN products, vector code chosen at run time, OpenMP threads.
#pragma once

#include <memory>
#include <string>

#include "concordat/device/backend.hpp"

namespace concordat::device {

/// AVX2 and FMA are there.
bool cpu_backend_usable();
/// One line: instruction set, threads, oneDNN's version and its instruction set.
std::string cpu_instructions();
/// @throws Error(device.no_avx2).
std::unique_ptr<Backend> make_cpu_backend();

}  // namespace concordat::device
