#include "concordat/core/tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace concordat {
namespace {

TEST(Tensor, ViewsShareTheirStorage) {
  Tensor x = host_tensor(Dtype::f32, {2, 3});
  x.slice(0, 1, 1).span<float>()[2] = 5.0F;
  EXPECT_EQ(x.span<float>()[5], 5.0F);
  EXPECT_EQ(x.reshape({6}).span<float>()[5], 5.0F);
  EXPECT_FALSE(x.transpose(0, 1).contiguous());
  EXPECT_FALSE(x.slice(1, 0, 2).contiguous());
  EXPECT_EQ(x.dim(-1), 3);
}

TEST(Tensor, ChecksTypeBoundsAndContiguity) {
  Tensor x = host_tensor(Dtype::f32, {2, 3});
  EXPECT_THROW(x.span<std::int32_t>(), Bug);
  EXPECT_THROW(x.slice(0, 1, 2), Bug);
  EXPECT_THROW(x.reshape({7}), Bug);
  EXPECT_THROW(x.transpose(0, 1).span<float>(), Bug);
  EXPECT_THROW(Tensor(x.storage(), 4, Dtype::f32, {2, 3}), Bug);
}

TEST(Tensor, ParameterVersionAdvances) {
  Parameter weight(host_tensor(Dtype::f32, {1}));
  auto before = weight.version();
  weight.bump();
  EXPECT_GT(weight.version(), before);
}

TEST(Dtype, Bf16RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(to_bf16(1.0F).bits, 0x3f80);
  EXPECT_EQ(to_bf16(1.00390625F).bits, 0x3f80);  // half way, to even
  EXPECT_EQ(to_bf16(1.01171875F).bits, 0x3f82);  // half way, to even
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(3.4e38F))));
}

}  // namespace
}  // namespace concordat
