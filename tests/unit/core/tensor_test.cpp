#include "concordat/core/tensor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "concordat/core/copy.hpp"

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

TEST(Tensor, ALargeCopyIsACopyToTheLastByteAndNotFurther) {
  constexpr std::size_t count = (std::size_t{5} << 20U) + 13;
  std::vector<std::byte> from(count + 1);
  for (std::size_t i = 0; i <= count; ++i) from[i] = static_cast<std::byte>(i * 7 + i / 4099 + 1);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{9}, count}) {
    std::vector<std::byte> to(count + 1);
    copy_bytes(to.data(), from.data(), bytes);
    const auto end = to.begin() + static_cast<std::ptrdiff_t>(bytes);
    EXPECT_TRUE(std::equal(to.begin(), end, from.begin())) << bytes;
    EXPECT_EQ(*end, std::byte{0}) << bytes;
  }
}

TEST(Dtype, HalfPrecisionReadsBackEveryNumberAndRoundsToTheNearest) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const F16 half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(value))));
      continue;
    }
    ASSERT_EQ(to_f16(value).bits, half.bits) << bits;
    const float next = to_float(F16{static_cast<std::uint16_t>(bits + 1)});
    if ((bits & 0x7fffU) >= 0x7bffU || !std::isfinite(next)) continue;
    const float middle = value + (next - value) / 2;  // a tie: to the even one
    ASSERT_EQ(to_f16(middle).bits, (bits & 1U) == 0 ? bits : bits + 1) << bits;
  }
  EXPECT_TRUE(std::isinf(to_float(to_f16(65520.0F))));
  EXPECT_EQ(to_float(to_f16(65519.0F)), 65504.0F);
}

}  // namespace
}  // namespace concordat
