// Packed weights: what wide processors do, made to happen on any.
#include "device/cpu/products.hpp"

#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

std::vector<float> product(Products& products, const Tensor& c, const Tensor& x,
                           const Parameter& weight, const MatmulOptions& options) {
  Tensor scratch;
  std::size_t bytes = products.scratch_bytes(c, x, weight.value(), options, true);
  if (bytes > 0) scratch = host_tensor(Dtype::u8, {static_cast<std::int64_t>(bytes)});
  products.run(c, x, weight.value(), options, weight.version(), scratch);
  return {c.span<float>().begin(), c.span<float>().end()};
}

TEST(Products, PackedWeightsGiveTheProductsOfPlainOnesAndFollowTheVersion) {
  Lab<float> lab("cpu");
  Products packed(true);
  Products plain(false);
  Tensor x = lab.random({33, 48}, 1);
  Tensor y = lab.random({33, 20}, 2);
  for (int round = 0; round < 3; ++round) {  // new weights may lie where dead ones lay
    Parameter weight(lab.random({20, 48}, 10 + static_cast<std::uint64_t>(round)));
    for (int version = 0; version < 3; ++version) {
      for (float beta : {0.0F, 1.0F}) {
        MatmulOptions forward{.transpose_b = true, .beta = beta};
        MatmulOptions backward{.alpha = 0.5F, .beta = beta};
        // Another order of at most 48 additions: 48 * 48 * 2^-24 at the very worst.
        expect_near(product(packed, lab.random({33, 20}, 3), x, weight, forward),
                    product(plain, lab.random({33, 20}, 3), x, weight, forward), 1.4e-4, "x W^T");
        expect_near(product(packed, lab.random({33, 48}, 3), y, weight, backward),
                    product(plain, lab.random({33, 48}, 3), y, weight, backward), 1.4e-4, "y W");
      }
      add(lab.exec(), weight.value(), weight.value(), weight.value());
      weight.bump();
    }
  }
}

}  // namespace
}  // namespace concordat::device::testing
