#include "checkpoint/placement.hpp"

#include <array>
#include <cstring>

namespace concordat::checkpoint {

namespace {

// How far ahead memory is asked for: what has left the cache arrives twice as fast as on demand.
constexpr std::size_t bytes_ahead = 4096;

/// Four running sums, and sums of these, instead of products: a vector register adds several at
/// once. With n rounds, x_k of a lane is in its sums' sum n - k times.
template <typename Bits>
std::uint64_t sum_of(const std::uint8_t* bytes, std::size_t count, std::uint64_t first) {
  constexpr std::size_t lanes = 4;
  std::array<std::uint64_t, lanes> sums{};
  std::array<std::uint64_t, lanes> sums_of_sums{};
  const std::size_t rounds = count / lanes;
  for (std::size_t k = 0; k < rounds; ++k, bytes += lanes * sizeof(Bits)) {
    std::array<Bits, lanes> next;
    std::memcpy(next.data(), bytes, sizeof next);
    __builtin_prefetch(bytes + bytes_ahead);  // beyond the end it does nothing
    for (std::size_t l = 0; l < lanes; ++l) {
      sums[l] += next[l];
      sums_of_sums[l] += sums[l];
    }
  }
  std::uint64_t plain = 0;
  std::uint64_t weighted = 0;  // by the index here
  for (std::size_t l = 0; l < lanes; ++l) {
    plain += sums[l];
    weighted += lanes * (rounds * sums[l] - sums_of_sums[l]) + l * sums[l];
  }
  for (std::size_t i = rounds * lanes; i < count; ++i, bytes += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes, sizeof bits);
    plain += bits;
    weighted += i * std::uint64_t{bits};
  }
  return 2 * weighted + (2 * first + 1) * plain;
}

}  // namespace

std::uint64_t placement_sum(ByteView elements, std::size_t width, std::int64_t first) {
  const auto index = static_cast<std::uint64_t>(first);
  switch (width) {
    case 1:
      return sum_of<std::uint8_t>(elements.data(), elements.size(), index);
    case 2:
      return sum_of<std::uint16_t>(elements.data(), elements.size() / 2, index);
    case 4:
      return sum_of<std::uint32_t>(elements.data(), elements.size() / 4, index);
    case 8:
      return sum_of<std::uint64_t>(elements.data(), elements.size() / 8, index);
    default:
      throw Bug("no such width");
  }
}

std::uint64_t placement_sum(const NamedTensor& tensor) {
  const std::size_t width = size_of(tensor.dtype);
  std::uint64_t sum = 0;
  for (const parallel::Segment& segment : tensor.owned) {
    for (std::int64_t i = 0; i < segment.count; ++i) {
      const auto local = static_cast<std::size_t>(segment.local_begin + i * segment.local_stride);
      const auto* begin = reinterpret_cast<const std::uint8_t*>(tensor.local.raw_bytes());
      sum += placement_sum({begin + local * width, static_cast<std::size_t>(segment.run) * width},
                           width, segment.begin + i * segment.stride);
    }
  }
  return sum;
}

}  // namespace concordat::checkpoint
