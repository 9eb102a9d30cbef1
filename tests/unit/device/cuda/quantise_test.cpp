// The device's quantiser gives the bits of exact's.
#include "device/cuda/quantise.hpp"

#include "concordat/exact/errors.hpp"
#include "concordat/exact/philox.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

using testing::Lab;
using testing::numbers;

struct Case {
  int bits;
  exact::Lane lane;
  std::uint32_t tokens;
  std::int64_t count;
};

Dtype dtype_of_lane(exact::Lane lane) {
  return lane == exact::Lane::u8 ? Dtype::u8 : lane == exact::Lane::u16 ? Dtype::u16 : Dtype::u32;
}

Bytes bytes_of(Lab<float>& lab, const Tensor& t) {
  Bytes bytes(t.size_bytes());
  read_bytes(lab.exec(), t, reinterpret_cast<std::byte*>(bytes.data()), nullptr).wait();
  return bytes;
}

TEST(CudaQuantise, GivesTheBitsOfExactWithFeedbackAndMask) {
  const exact::Lane lanes_of_all[] = {exact::Lane::u8, exact::Lane::u16, exact::Lane::u32};
  for (const int bits : {2, 4, 7, 8, 12, 16}) {
    for (const exact::Lane lane : lanes_of_all) {
      if (bits > static_cast<int>(lane)) continue;
      for (const std::uint32_t tokens : {0U, 1U, 4999U, 8192U}) {
        const std::int64_t count = 777;
        const auto n = static_cast<std::size_t>(count);
        std::vector<float> update = numbers(1, count);
        std::vector<float> error = numbers(2, count);
        update[0] = 0.0F;
        update[1] = 1e30F;  // clamped
        update[2] = -1e30F;
        update[3] = 1e-42F;  // subnormal: not flushed
        error[0] = error[1] = error[2] = error[3] = 0.0F;
        std::vector<std::uint32_t> random(n);
        Bytes mask(n * exact::lane_bytes(lane));
        for (std::size_t i = 0; i < n; ++i) {
          random[i] = exact::random_u32(3, exact::Purpose::synthetic, 1, i);
        }
        for (std::size_t i = 0; i < mask.size(); ++i) {
          mask[i] =
              static_cast<std::uint8_t>(exact::random_u32(4, exact::Purpose::synthetic, 1, i));
        }
        const exact::Quantiser q{.bits = bits, .lane = lane};
        const exact::SiteWeight weight{.tokens = tokens, .cap = 8192};
        const float scale = 0.037F;
        Bytes codes(mask.size());
        std::vector<float> error_out(n);
        exact::quantise(q, weight, scale, update, error, random, 0, codes, error_out);
        exact::add_lanes(lane, codes, mask);

        Lab<float> lab("cuda");
        auto& stream = dynamic_cast<CudaStream&>(lab.exec().stream);
        const Tensor kept = lab.in({count}, error);
        const Tensor words = lab.session.upload<std::uint32_t>({count}, random);
        const Tensor device_mask = lab.session.backend().allocate(dtype_of_lane(lane), {count});
        write_bytes(lab.exec(), device_mask, std::as_bytes(std::span(mask)));
        const Tensor device_codes = lab.session.backend().allocate(dtype_of_lane(lane), {count});
        const Tensor flag = lab.ints({0});
        quantise_and_mask(stream.handle(), q, weight, scale,
                          {lab.in({count}, update), kept, words, device_mask},
                          {device_codes, kept, flag});
        const std::string what = std::to_string(bits) + " bits, lane " +
                                 std::to_string(static_cast<int>(lane)) + ", " +
                                 std::to_string(tokens) + " tokens";
        EXPECT_EQ(bytes_of(lab, device_codes), codes) << what;
        const std::vector<float> device_error = lab.get(kept);
        EXPECT_EQ(std::memcmp(device_error.data(), error_out.data(), n * sizeof(float)), 0) << what;
        EXPECT_EQ(read_back<std::int32_t>(lab.exec(), flag).get(), 0);
      }
    }
  }
}

TEST(CudaQuantise, WithoutFeedbackAndMaskAndWithANumberThatIsNone) {
  for (const float bad : {0.5F, INFINITY, NAN}) {
    Lab<float> lab("cuda");
    auto& stream = dynamic_cast<CudaStream&>(lab.exec().stream);
    const Tensor codes = lab.session.backend().allocate(Dtype::u8, {3});
    const Tensor flag = lab.ints({0});
    const Tensor words = lab.session.upload<std::uint32_t>({3}, {0, 0, 0});
    quantise_and_mask(stream.handle(), {.bits = 4, .lane = exact::Lane::u8}, {8, 8}, 0.25F,
                      {lab.in({3}, {0.25F, bad, -0.5F}), {}, words, {}}, {codes, {}, flag});
    EXPECT_EQ(read_back<std::int32_t>(lab.exec(), flag).get(), std::isfinite(bad) ? 0 : 1);
    if (std::isfinite(bad)) {
      EXPECT_EQ(bytes_of(lab, codes), (Bytes{9, 10, 6}));
    }
  }
}

}  // namespace
}  // namespace concordat::device::cuda
