#include "device/cuda/cuda_backend.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {

std::vector<std::string> tested_backends() { return {"reference", "cuda"}; }

/// Every tensor is an allocation of its own and scratch starts as NaN: the emulator's checks see
/// most.
std::unique_ptr<Backend> make_tested_backend(const std::string& name) {
  if (name == "cuda") return cuda::make_cuda_backend({.checking = true});
  return make_backend(name);
}

}  // namespace concordat::device::testing
