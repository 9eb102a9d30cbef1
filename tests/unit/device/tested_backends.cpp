#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {

std::vector<std::string> tested_backends() { return backend_names(); }
std::unique_ptr<Backend> make_tested_backend(const std::string& name) { return make_backend(name); }

}  // namespace concordat::device::testing
