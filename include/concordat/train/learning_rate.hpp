// The inner learning rate: linear warm-up, then a cosine down to a floor.
//
//   RateSchedule rate{.peak = 3e-3, .floor = 3e-4, .warmup_steps = 20, .total_steps = 360};
//   rate.at(0);      // peak / 20: the first step moves
//   rate.at(360);    // the floor, as at every later step
#pragma once

#include <cstdint>

namespace concordat::train {

struct RateSchedule {
  double peak = 1e-3;
  double floor = 1e-4;
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;

  /// Rate of the step with this index, counted from 0.
  double at(std::int64_t step) const;
  /// Sum of the rates of steps [begin, end).
  double sum(std::int64_t begin, std::int64_t end) const;
  /// @throws Error(train.bad_settings).
  void validate() const;
};

}  // namespace concordat::train
