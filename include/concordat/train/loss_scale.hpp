// LossScaler: the dynamic loss scale of fp16, which keeps small gradients above its least number.
//
//   LossScaler scaler(Dtype::f16, {});
//   stage.open_step(scaler.scale() / targets);        // the gradients come out scaled
//   ... backward, optimizer with scaler.scale(): unscales, and changes nothing on inf ...
//   scaler.update(found_inf);                          // halves now, or doubles after a while
//
// Scales are powers of two, so that scaling and unscaling change no bit of a gradient that fits. A
// step whose gradient is not finite is skipped: it moves the data on and counts as a step, but not
// as an update, so that Adam's bias corrections stay right. f32 and bf16 have the range of f32:
// their scale is 1 and never moves. The state is in checkpoints. Pure; every rank holds the same.
#pragma once

#include <cstdint>

#include "concordat/core/dtype.hpp"

namespace concordat::train {

struct LossScaleSettings {
  double initial = 65536.0;
  double greatest = 16777216.0;
  double least = 1.0;                   ///< an inf here is no overflow: the run has diverged
  std::int64_t growth_interval = 2000;  ///< good steps in a row before the scale doubles
};

/// What a restart needs.
struct LossScaleState {
  double scale = 1.0;
  std::int64_t good_steps = 0;  ///< since the scale last moved
  std::int64_t skipped = 0;     ///< steps of the run that were no updates
  bool operator==(const LossScaleState&) const = default;
};

class LossScaler {
 public:
  LossScaler(Dtype compute, const LossScaleSettings& settings);
  bool dynamic() const { return dynamic_; }
  double scale() const { return state_.scale; }
  /// Whether an inf may be skipped: a smaller scale is left to try.
  bool can_back_off() const { return dynamic_ && state_.scale > settings_.least; }
  /// After each step. @pre !found_inf || can_back_off().
  void update(bool found_inf);

  const LossScaleState& state() const { return state_; }
  /// A checkpoint's. Without a dynamic scale only `skipped` is taken. @pre scale > 0.
  void restore(const LossScaleState& state);

 private:
  bool dynamic_;
  LossScaleSettings settings_;
  LossScaleState state_;
};

}  // namespace concordat::train
