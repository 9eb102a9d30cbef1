// The op tests on a GPU, through the plug-in that train.device=cuda would load.
// scripts/gpu-check.sh builds and runs this program; without a device its first test says so.
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {

std::vector<std::string> tested_backends() { return {"reference", "cuda"}; }
std::unique_ptr<Backend> make_tested_backend(const std::string& name) { return make_backend(name); }

TEST(AGpu, IsThere) {
  const auto backend = make_backend("cuda");
  EXPECT_EQ(backend->name(), "cuda");
  EXPECT_TRUE(backend->instructions_in_use().starts_with("cuda: "));
}

}  // namespace concordat::device::testing
