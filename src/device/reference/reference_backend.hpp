// The oracle: plain loops in host memory, one thread, sums in f64. Computes in f32 and, so that
// gradients can be held to finite differences, in f64.
#pragma once

#include <memory>

#include "concordat/device/backend.hpp"

namespace concordat::device {

std::unique_ptr<Backend> make_reference_backend();

}  // namespace concordat::device
