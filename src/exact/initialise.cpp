#include <cmath>
#include <string>

#include "concordat/exact/errors.hpp"
#include "concordat/exact/float_environment.hpp"
#include "concordat/exact/normal.hpp"
#include "concordat/exact/philox.hpp"

namespace concordat::exact {

namespace {

void check_width(float width, const char* name) {
  if (std::isfinite(width) && width >= 0.0F) return;
  throw Error(errors::setting, {.what = std::string("the ") + name + " of initial weights is wrong",
                                .found = std::to_string(width),
                                .expected = "finite and not negative"});
}

/// Calls `value(word)` for each element; the word depends on the element's coordinate alone.
template <typename Value>
void fill(std::uint64_t seed, std::uint32_t tensor, std::uint64_t first, std::span<float> out,
          Value value) {
  PhiloxCounter words{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint64_t index = first + i;
    if (i == 0 || index % 4 == 0) {
      words = random_block(seed, Purpose::initial_weights, tensor, index / 4);
    }
    out[i] = value(words[index % 4]);
  }
}

}  // namespace

void initialise_normal(std::uint64_t seed, std::uint32_t tensor, std::uint64_t first,
                       std::span<float> out, float stddev) {
  check_width(stddev, "standard deviation");
  const StrictFloats strict;
  const double width = stddev;
  fill(seed, tensor, first, out,
       [width](std::uint32_t word) { return static_cast<float>(width * normal_quantile(word)); });
}

void initialise_uniform(std::uint64_t seed, std::uint32_t tensor, std::uint64_t first,
                        std::span<float> out, float bound) {
  check_width(bound, "bound");
  const StrictFloats strict;
  const double width = bound;
  fill(seed, tensor, first, out, [width](std::uint32_t word) {
    return static_cast<float>(width * (static_cast<double>(word) * 0x1p-31 - 1.0));
  });
}

}  // namespace concordat::exact
