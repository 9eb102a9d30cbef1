#include "concordat/exact/lanes.hpp"

#include <gtest/gtest.h>

#include "concordat/exact/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::exact {
namespace {

constexpr Lane all_lanes[] = {Lane::u8, Lane::u16, Lane::u32};

std::string refusal(std::uint32_t sites, int bits, Lane lane,
                    const ErrorCode& wanted = errors::lane_could_wrap) {
  try {
    check_lane(sites, bits, lane);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), wanted) << error.what();
    EXPECT_EQ(error.fields().where, "exchange.bits, exchange.lane");
    EXPECT_FALSE(error.fields().found.empty() || error.fields().expected.empty() ||
                 error.fields().remedy.empty());
    return error.what();
  }
  return "";
}

TEST(CheckLane, AcceptsUpToTheWrapBoundaryAndNotBeyond) {
  // The boundary of each pair: floor((2^lane - 1) / (2^bits - 1)) sites.
  struct Boundary {
    int bits;
    Lane lane;
    std::uint32_t sites;
  };
  for (const Boundary& b :
       {Boundary{4, Lane::u8, 17}, Boundary{8, Lane::u8, 1}, Boundary{8, Lane::u16, 257},
        Boundary{12, Lane::u16, 16}, Boundary{16, Lane::u16, 1}, Boundary{2, Lane::u8, 85}}) {
    EXPECT_EQ(refusal(b.sites, b.bits, b.lane), "") << b.bits;
    EXPECT_NE(refusal(b.sites + 1, b.bits, b.lane), "") << b.bits;
  }
  EXPECT_EQ(refusal(65535, 16, Lane::u32), "");
}

TEST(CheckLane, SaysTheArithmetic) {
  const std::string text = refusal(18, 4, Lane::u8);
  EXPECT_NE(text.find("18 * (2^4 - 1) = 270"), std::string::npos) << text;
  EXPECT_NE(text.find("255"), std::string::npos) << text;
  EXPECT_NE(text.find("3 bits"), std::string::npos) << text;
}

TEST(CheckLane, RefusesWhatTheQuantiserIsNotDefinedFor) {
  EXPECT_NE(refusal(3, 1, Lane::u8, errors::setting), "");
  EXPECT_NE(refusal(3, 17, Lane::u32, errors::setting), "");
  EXPECT_NE(refusal(0, 8, Lane::u16, errors::setting), "");
  EXPECT_NE(refusal(65536, 8, Lane::u32, errors::setting), "");
  EXPECT_ERROR_SAYS(lane_from_bits(12, "test"), errors::setting, "test");
  EXPECT_EQ(lane_from_bits(16, "test"), Lane::u16);
}

TEST(Lanes, AddAndSubtractWrapAtTheirWidth) {
  for (const Lane lane : all_lanes) {
    const std::size_t width = lane_bytes(lane);
    Bytes ones(37 * width, 0xff);  // every lane is 2^width - 1, an odd count of them
    Bytes sum = ones;
    add_lanes(lane, sum, ones);  // 2^width - 2
    for (std::size_t i = 0; i < sum.size(); ++i) {
      EXPECT_EQ(sum[i], i % width == 0 ? 0xfe : 0xff) << i;
    }
    sub_lanes(lane, sum, ones);
    EXPECT_EQ(sum, ones);
    Bytes zero(ones.size(), 0);
    sub_lanes(lane, zero, ones);  // 0 - (2^width - 1) = 1
    for (std::size_t i = 0; i < zero.size(); ++i) EXPECT_EQ(zero[i], i % width == 0 ? 1 : 0);
  }
}

TEST(Lanes, WorkAtAnyAlignment) {
  Bytes a(65), b(65);
  for (std::size_t i = 0; i < 65; ++i) {
    a[i] = static_cast<std::uint8_t>(3 * i);
    b[i] = static_cast<std::uint8_t>(7 * i + 1);
  }
  const Bytes before = a;
  add_lanes(Lane::u32, ByteSpan(a).subspan(1), ByteView(b).subspan(1));
  EXPECT_NE(a, before);
  sub_lanes(Lane::u32, ByteSpan(a).subspan(1), ByteView(b).subspan(1));
  EXPECT_EQ(a, before);
}

TEST(Lanes, RefuseHalfALane) {
  Bytes a(3), b(3);
  EXPECT_THROW(add_lanes(Lane::u16, a, b), Bug);
  Bytes c(4);
  EXPECT_THROW(add_lanes(Lane::u16, c, a), Bug);
}

TEST(CheckRange, NamesTheFirstSumThatIsTooLarge) {
  Bytes sums(2000, 0);
  sums[2 * 700] = 46;
  sums[2 * 701] = 45;
  check_range(Lane::u16, sums, 46, 0);
  try {
    check_range(Lane::u16, sums, 45, 1000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::sum_out_of_range);
    EXPECT_EQ(error.fields().where, "canonical index 1700");
    EXPECT_EQ(error.fields().found, "46");
    EXPECT_EQ(error.severity(), Severity::round);
  }
}

}  // namespace
}  // namespace concordat::exact
