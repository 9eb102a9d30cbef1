#include "concordat/train/learning_rate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "concordat/train/errors.hpp"

namespace concordat::train {

namespace {
/// cos(pi * x) for x in [0, 1], as an odd series of sin around the middle. Not libm's: the summed
/// rates scale round 0 of a federation, and libm gives other bits where FMA is absent.
double cos_pi(double x) {
  static constexpr std::array<double, 11> kInverse = {1.0 / 420, 1.0 / 342, 1.0 / 272, 1.0 / 210,
                                                      1.0 / 156, 1.0 / 110, 1.0 / 72,  1.0 / 42,
                                                      1.0 / 20,  1.0 / 6,   1.0};
  const double y = std::numbers::pi * (0.5 - x);
  double series = 1.0;
  for (std::size_t i = 0; i + 1 < kInverse.size(); ++i) series = 1.0 - y * y * kInverse[i] * series;
  return y * series;
}
}  // namespace

RateShape rate_shape_named(std::string_view name) {
  if (name == "cosine") return RateShape::cosine;
  if (name == "wsd") return RateShape::wsd;
  throw Error(errors::bad_settings, {.what = "there is no such learning rate schedule",
                                     .where = "inner.schedule",
                                     .found = std::string(name),
                                     .expected = "cosine or wsd",
                                     .remedy = "correct inner.schedule"});
}

std::int64_t RateSchedule::decay_begin() const {
  const auto steps =
      static_cast<std::int64_t>(static_cast<double>(total_steps) * decay_share + 0.5);
  return std::max(warmup_steps, total_steps - steps);
}

double RateSchedule::at(std::int64_t step) const {
  if (step < warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  }
  if (step >= total_steps) return floor;
  if (shape == RateShape::wsd) {
    const std::int64_t begin = decay_begin();
    if (step < begin) return peak;
    // A square root is rounded the same way on every processor, like the four operations.
    return peak - (peak - floor) * std::sqrt(static_cast<double>(step - begin) /
                                             static_cast<double>(total_steps - begin));
  }
  const double done =
      static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
  return floor + 0.5 * (peak - floor) * (1.0 + cos_pi(done));
}

double RateSchedule::sum(std::int64_t begin, std::int64_t end) const {
  double total = 0.0;
  for (std::int64_t step = begin; step < end; ++step) total += at(step);
  return total;
}

void RateSchedule::validate() const {
  if (peak > 0.0 && floor >= 0.0 && floor <= peak && warmup_steps >= 0 && total_steps >= 1 &&
      decay_share >= 0.0 && decay_share <= 1.0) {
    return;
  }
  throw Error(
      errors::bad_settings,
      {.what = "the learning rate schedule makes no sense",
       .where = "inner.rate",
       .found = "peak " + std::to_string(peak) + ", floor " + std::to_string(floor) + ", warm-up " +
                std::to_string(warmup_steps) + " of " + std::to_string(total_steps) +
                " steps, decay over " + std::to_string(decay_share) + " of them",
       .expected =
           "0 <= floor <= peak, peak above 0, steps not negative, the decay's share in [0, 1]",
       .remedy = "correct the rates in the [inner] section"});
}

}  // namespace concordat::train
