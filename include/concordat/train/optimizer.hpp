// AdamW over a stage's parameters: fp32 master, moments, and what every step needs as 0-d tensors.
//
//   AdamW optimizer(exec, set, mesh, {.beta1 = 0.9F, .weight_decay = 0.1F}, /*clip_norm=*/1.0F);
//   optimizer.step(exec, step_index, rate);        // gradients are final: clips, steps, bumps
//   read_back<double>(exec, optimizer.squares());  // squared norm of the whole model's gradient
//
// Master, m and v are flat, in the ParameterSet's local flat space. Matrices and tables decay,
// norms do not. A gradient that is not finite changes nothing and sets found_inf(). Collective over
// tp and pp (the norm).
#pragma once

#include <vector>

#include "concordat/device/ops/optimizer.hpp"
#include "concordat/model/parameters.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::train {

using device::AdamwSettings;

class AdamW {
 public:
  AdamW(device::Exec& exec, model::ParameterSet& set, parallel::ProcessMesh& mesh,
        const AdamwSettings& settings, float clip_norm);

  /// `updates_before` counts the updates already made: it makes the bias corrections.
  void step(device::Exec& exec, std::int64_t updates_before, double rate);

  /// [num_local] f32.
  const Tensor& master() const { return master_; }
  const Tensor& m() const { return m_; }
  const Tensor& v() const { return v_; }
  /// After a write to the master from outside: the compute copy follows.
  void refresh_compute(device::Exec& exec);

  /// 0-d f64: the gradient's squared norm over the whole model, before clipping.
  const Tensor& squares() const { return squares_; }
  /// 0-d f32: not 0 when the last step changed nothing because the gradient was not finite.
  const Tensor& found_inf() const { return scalars_.found_inf; }

 private:
  /// Neighbouring tensors that one call may take: equal decay and compute dtype, or equal counting.
  struct Run {
    std::int64_t begin = 0;
    std::int64_t count = 0;
    bool flag = false;  ///< decays, or is counted
    Dtype compute = Dtype::f32;
  };
  template <typename Flag>
  static std::vector<Run> runs_of(const model::ParameterSet& set, bool by_dtype, Flag&& flag);

  model::ParameterSet& set_;
  parallel::ProcessMesh& mesh_;
  AdamwSettings settings_;
  float clip_norm_;
  std::vector<Run> update_runs_;
  std::vector<Run> counted_runs_;
  Tensor master_, m_, v_;
  Tensor squares_;
  device::AdamwScalars scalars_;
};

}  // namespace concordat::train
