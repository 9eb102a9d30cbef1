#include "concordat/train/loss_scale.hpp"

#include <algorithm>
#include <string>

#include "concordat/core/error.hpp"

namespace concordat::train {

LossScaler::LossScaler(Dtype compute, const LossScaleSettings& settings)
    : dynamic_(compute == Dtype::f16), settings_(settings) {
  if (dynamic_) state_.scale = settings_.initial;
}

void LossScaler::update(bool found_inf) {
  if (!dynamic_) return;
  if (found_inf) {
    CONCORDAT_REQUIRE(can_back_off(), "the loss scale is " + std::to_string(state_.scale));
    state_.scale = std::max(settings_.least, state_.scale / 2.0);
    state_.good_steps = 0;
    ++state_.skipped;
    return;
  }
  if (++state_.good_steps < settings_.growth_interval) return;
  state_.scale = std::min(settings_.greatest, state_.scale * 2.0);
  state_.good_steps = 0;
}

void LossScaler::restore(const LossScaleState& state) {
  CONCORDAT_REQUIRE(state.scale > 0.0, std::to_string(state.scale));
  if (dynamic_) state_ = state;
  state_.skipped = state.skipped;
}

}  // namespace concordat::train
