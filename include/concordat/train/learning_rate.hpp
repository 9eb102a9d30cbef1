// The inner learning rate: linear warm-up, then a cosine down to a floor, or (wsd: warm-up, stable,
// decay) the peak until the last part of the run, which falls to the floor as 1 - sqrt.
//
//   RateSchedule rate{.peak = 3e-3, .floor = 3e-4, .warmup_steps = 20, .total_steps = 360};
//   rate.at(0);      // peak / 20: the first step moves
//   rate.at(360);    // the floor, as at every later step
#pragma once

#include <cstdint>
#include <string_view>

namespace concordat::train {

enum class RateShape { cosine, wsd };

/// "cosine" or "wsd". @throws Error(train.bad_settings) for another name.
RateShape rate_shape_named(std::string_view name);

struct RateSchedule {
  double peak = 1e-3;
  double floor = 1e-4;
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;
  RateShape shape = RateShape::cosine;
  double decay_share = 0.2;  ///< wsd: of total_steps, rounded; the decay never cuts the warm-up

  /// Rate of the step with this index, counted from 0.
  double at(std::int64_t step) const;
  /// Sum of the rates of steps [begin, end).
  double sum(std::int64_t begin, std::int64_t end) const;
  /// @throws Error(train.bad_settings).
  void validate() const;

 private:
  std::int64_t decay_begin() const;
};

}  // namespace concordat::train
