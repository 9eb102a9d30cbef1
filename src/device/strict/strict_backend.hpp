// The test back end that keeps everyone honest before a GPU does:
// - every stream has a worker thread, so an op has not happened when its call returns;
// - tensors lie in pages that are protected except while a stream works: a host that reads or
//   writes one outside of ops dies with SIGSEGV at the culprit;
// - allocations and arena scratch start as NaN (0xFF bytes), never as zeros;
// - a weight that changed without Parameter::bump() is found at its next product (Bug).
// Arithmetic is the reference's: results are equal bit for bit.
#pragma once

#include <memory>

#include "concordat/device/backend.hpp"

namespace concordat::device {

std::unique_ptr<Backend> make_strict_backend();

}  // namespace concordat::device
