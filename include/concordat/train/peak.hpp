// The rate of matrix products alone, in FLOP/s: what a model FLOP utilisation is a share of where
// nobody has written the device's peak down.
//
//   double peak = product_rate(exec, system_clock(), Dtype::f32);    // of this rank's threads
//
// The best of a few square products, in the precision that training computes in. Takes some tenths
// of a second, and as long as it takes on back ends that are not made for speed. Ranks that share a
// processor measure at the same time, so that each finds its share.
#pragma once

#include "concordat/core/clock.hpp"
#include "concordat/device/exec.hpp"

namespace concordat::train {

double product_rate(device::Exec& exec, const Clock& clock, Dtype compute);

}  // namespace concordat::train
