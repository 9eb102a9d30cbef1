// The exchange's quantiser gives the bits of exact's on every back end.
#include "concordat/device/ops/quantise.hpp"

#include <cstring>

#include "concordat/exact/outer.hpp"
#include "concordat/exact/philox.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

/// Base, theta, error, rounding words and a mask of n elements, with clamped and subnormal ones.
struct Span {
  explicit Span(std::int64_t n, exact::Lane lane)
      : base(numbers(1, n)), theta(numbers(2, n)), error(numbers(3, n)) {
    const float special[] = {0.0F, 1e30F, -1e30F, 1e-42F};  // the last must not be flushed
    for (std::size_t i = 0; i < 4; ++i) {
      base[i] = special[i];
      theta[i] = error[i] = 0.0F;
    }
    for (std::size_t i = 0; i < base.size(); ++i) {
      random.push_back(exact::random_u32(3, exact::Purpose::synthetic, 1, i));
    }
    mask.resize(base.size() * exact::lane_bytes(lane));
    for (std::size_t i = 0; i < mask.size(); ++i) {
      mask[i] = static_cast<std::uint8_t>(exact::random_u32(4, exact::Purpose::synthetic, 1, i));
    }
  }
  std::vector<float> base, theta, error;
  std::vector<std::uint32_t> random;
  Bytes mask;
};

Bytes bytes_of(Lab<float>& lab, const Tensor& t) {
  Bytes bytes(t.size_bytes());
  read_bytes(lab.exec(), t, reinterpret_cast<std::byte*>(bytes.data()), nullptr).wait();
  return bytes;
}

TEST(Quantise, GivesTheBitsOfExactWithFeedbackAndMask) {
  const std::int64_t count = 777;
  for (const int bits : {2, 4, 7, 8, 12, 16}) {
    for (const exact::Lane lane : {exact::Lane::u8, exact::Lane::u16, exact::Lane::u32}) {
      if (bits > static_cast<int>(lane)) continue;
      for (const std::uint32_t tokens : {0U, 1U, 4999U, 8192U}) {
        const Span span(count, lane);
        const QuantiseSettings settings{
            .quantiser = {.bits = bits, .lane = lane}, .weight = {tokens, 8192}, .scale = 0.037F};
        std::vector<float> update(span.base.size());
        exact::make_update(span.base, span.theta, update);
        Bytes codes(span.mask.size());
        std::vector<float> error = span.error;
        exact::quantise(settings.quantiser, settings.weight, settings.scale, update, span.error,
                        span.random, 0, codes, error);
        exact::add_lanes(lane, codes, span.mask);

        for (const std::string& backend : tested_backends()) {
          Lab<float> lab(backend);
          const Tensor lanes = lab.session.backend().allocate(lane_dtype(lane), {count});
          write_bytes(lab.exec(), lanes, std::as_bytes(std::span(span.mask)));
          const Tensor kept = lab.in({count}, span.error);
          const Tensor flag = lab.ints({0});
          quantise_update(lab.exec(), {lanes, kept, flag},
                          {.base = lab.in({count}, span.base),
                           .theta = lab.in({count}, span.theta),
                           .error = kept,
                           .random = lab.session.upload<std::uint32_t>({count}, span.random),
                           .mask = lanes},
                          settings);
          const std::string what = backend + ", " + std::to_string(bits) + " bits, lane " +
                                   std::to_string(static_cast<int>(lane)) + ", " +
                                   std::to_string(tokens) + " tokens";
          EXPECT_EQ(bytes_of(lab, lanes), codes) << what;
          const std::vector<float> found = lab.get(kept);
          EXPECT_EQ(std::memcmp(found.data(), error.data(), error.size() * sizeof(float)), 0)
              << what;
          EXPECT_EQ(read_back<std::int32_t>(lab.exec(), flag).get(), 0) << what;
        }
      }
    }
  }
}

TEST(Quantise, WithoutFeedbackAndMaskAndWithANumberThatIsNone) {
  for (const std::string& backend : tested_backends()) {
    for (const float bad : {0.5F, INFINITY, NAN}) {
      Lab<float> lab(backend);
      const Tensor codes = lab.session.backend().allocate(Dtype::u8, {3});
      const Tensor flag = lab.ints({0});
      quantise_update(lab.exec(), {codes, {}, flag},
                      {.base = lab.in({3}, {0.5F, bad, 0.5F}),
                       .theta = lab.in({3}, {0.25F, 0.0F, 1.0F}),
                       .error = {},
                       .random = lab.session.upload<std::uint32_t>({3}, {0, 0, 0}),
                       .mask = {}},
                      {{.bits = 4, .lane = exact::Lane::u8}, {8, 8}, 0.25F});
      EXPECT_EQ(read_back<std::int32_t>(lab.exec(), flag).get(), std::isfinite(bad) ? 0 : 1);
      if (std::isfinite(bad)) {
        EXPECT_EQ(bytes_of(lab, codes), (Bytes{9, 10, 6})) << backend;
      }
    }
  }
}

// Elements beyond a span are another's: with a count that fills no block of threads.
TEST(Quantise, WritesNothingBehindItsSpan) {
  for (const std::string& backend : tested_backends()) {
    Lab<float> lab(backend);
    const Tensor lanes = lab.session.backend().allocate(Dtype::u16, {300});
    const Bytes before(600, 0xAB);
    write_bytes(lab.exec(), lanes, std::as_bytes(std::span(before)));
    quantise_update(lab.exec(), {lanes.slice(0, 3, 257), {}, lab.ints({0})},
                    {.base = lab.random({257}, 1),
                     .theta = lab.random({257}, 2),
                     .error = {},
                     .random = lab.session.upload<std::uint32_t>(
                         {257}, std::span<const std::uint32_t>(std::vector<std::uint32_t>(257))),
                     .mask = {}},
                    {{.bits = 8, .lane = exact::Lane::u16}, {8, 8}, 0.25F});
    const Bytes found = bytes_of(lab, lanes);
    for (std::size_t i = 0; i < 300; ++i) {
      EXPECT_EQ(found[2 * i + 1] == 0xAB, i < 3 || i >= 260) << backend << " " << i;
    }
  }
}

}  // namespace
}  // namespace concordat::device::testing
