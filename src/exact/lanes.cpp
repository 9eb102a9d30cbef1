#include "concordat/exact/lanes.hpp"

#include <algorithm>
#include <string>

#include "concordat/exact/errors.hpp"
#include "exact/lane_access.hpp"

namespace concordat::exact {

namespace {

void check_pair(Lane lane, std::size_t into, std::size_t what) {
  CONCORDAT_REQUIRE(into == what && into % lane_bytes(lane) == 0,
                    std::to_string(into) + " and " + std::to_string(what) + " bytes");
}

template <typename T>
void add(std::uint8_t* __restrict into, const std::uint8_t* __restrict what, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    store<T>(into, i, static_cast<T>(load<T>(into, i) + load<T>(what, i)));
  }
}

template <typename T>
void sub(std::uint8_t* __restrict into, const std::uint8_t* __restrict what, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    store<T>(into, i, static_cast<T>(load<T>(into, i) - load<T>(what, i)));
  }
}

template <typename T>
T largest(const std::uint8_t* sums, std::size_t count) {
  T most = 0;
  for (std::size_t i = 0; i < count; ++i) most = std::max(most, load<T>(sums, i));
  return most;
}

}  // namespace

void add_lanes(Lane lane, ByteSpan into, ByteView what) {
  check_pair(lane, into.size(), what.size());
  with_lane(lane, [&]<typename T>() { add<T>(into.data(), what.data(), into.size() / sizeof(T)); });
}

void sub_lanes(Lane lane, ByteSpan into, ByteView what) {
  check_pair(lane, into.size(), what.size());
  with_lane(lane, [&]<typename T>() { sub<T>(into.data(), what.data(), into.size() / sizeof(T)); });
}

void check_range(Lane lane, ByteView sums, std::uint64_t limit, std::uint64_t first_index) {
  check_pair(lane, sums.size(), sums.size());
  with_lane(lane, [&]<typename T>() {
    const std::size_t count = sums.size() / sizeof(T);
    if (largest<T>(sums.data(), count) <= limit) return;
    std::size_t i = 0;
    while (load<T>(sums.data(), i) <= limit) ++i;
    throw Error(errors::sum_out_of_range,
                {.what = "a sum is larger than its terms allow",
                 .where = "canonical index " + std::to_string(first_index + i),
                 .found = std::to_string(load<T>(sums.data(), i)),
                 .expected = "at most " + std::to_string(limit),
                 .remedy = "a participant or the coordinator altered the sum, or masks did not "
                           "cancel; the round is refused"});
  });
}

}  // namespace concordat::exact
