#include "device/cuda/cuda_backend.hpp"
#include "emulator.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {

std::vector<std::string> tested_backends() { return {"reference", "cuda"}; }

/// Every tensor is an allocation of its own and scratch starts as NaN: the emulator's checks see
/// most. Every second one runs its threads from the last to the first: check_backends wants the
/// same bits.
std::unique_ptr<Backend> make_tested_backend(const std::string& name) {
  if (name != "cuda") return make_backend(name);
  static bool reversed = true;
  reversed = !reversed;
  cuda_emulator::reverse_order(reversed);
  return cuda::make_cuda_backend({.checking = true});
}

}  // namespace concordat::device::testing
