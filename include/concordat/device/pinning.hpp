// Pinning of the compute threads of this process.
#pragma once

#include <vector>

namespace concordat::device {

/// Thread i of the OpenMP team of the calling thread, for i from 1 on, runs on processors[i] alone
/// from now on. The calling thread itself and every thread that it makes later (of messages, of
/// files, of another team) may run on any of `processors`: with as many threads as processors the
/// scheduler leaves it processors[0].
/// @pre 0 < threads <= processors.size().
/// @throws Error(device.cannot_pin) when the kernel refuses, naming the processors.
void pin_threads(const std::vector<int>& processors, int threads);

}  // namespace concordat::device
