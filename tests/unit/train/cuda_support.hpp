// Training on the cuda plug-in, held against the reference.
#pragma once

#include "unit/train/support.hpp"

namespace concordat::train::test {

/// The first step's gradients by the first moments, the rest by the losses.
/// `gradient_tolerance` is relative to a gradient's largest element. `noise` is absolute and of the
/// keys' bias alone: a softmax does not see it, so its gradient is zero but for rounding.
inline void expect_the_references(const TrainSettings& settings, double loss_tolerance,
                                  float gradient_tolerance, float noise = 1e-6F,
                                  const parallel::MeshShape& shape = {}) {
  TrainSettings alone = settings;
  alone.sequence_parallel = false;
  alone.zero = 0;
  const Outcome oracle = train("reference", {}, alone, 3);
  const Outcome found = train("cuda", shape, settings, 3);
  ASSERT_EQ(found.reports.size(), 3U);
  for (std::size_t step = 0; step < 3; ++step) {
    EXPECT_NEAR(found.reports[step].loss, oracle.reports[step].loss, loss_tolerance) << step;
  }
  EXPECT_NEAR(found.validation.nats_per_token, oracle.validation.nats_per_token, loss_tolerance);
  ASSERT_EQ(found.first_state.size(), oracle.first_state.size());
  for (const auto& [name, values] : oracle.first_state) {
    if (!name.starts_with("adamw_m/")) continue;
    const auto& others = found.first_state.at(name);
    ASSERT_EQ(others.size(), values.size()) << name;
    const float most = largest(values);
    EXPECT_TRUE(most > 0.0F || is_noise(name)) << name;
    const float bound = is_noise(name) ? noise : gradient_tolerance * most;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(others[i], values[i], bound) << name << " [" << i << "]";
    }
  }
}

}  // namespace concordat::train::test
