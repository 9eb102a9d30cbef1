// AdamW over a stage's parameters: fp32 master, moments, and what every step needs as 0-d tensors.
//
//   AdamW optimizer(exec, set, mesh, ownership, norm, {.beta1 = 0.9F}, /*clip_norm=*/1.0F);
//   optimizer.step(exec, step_index, rate);        // gradients are final: clips, steps, bumps
//   read_back<double>(exec, optimizer.squares());  // squared norm of the whole model's gradient
//
// The norm is a GradientNorm (gradient_norm.hpp), whose bits do not depend on dp, pp or ZeRO-1.
//
// Master, m and v are flat, in the ParameterSet's local flat space; under ZeRO-1 only the parts
// that this rank owns, one behind the other, and step() gathers the compute copy from the owners.
// Matrices and tables decay, norms do not. A gradient that is not finite changes nothing and sets
// found_inf(). Collective over tp and pp (the norm), under ZeRO-1 over the replicas too.
#pragma once

#include <vector>

#include "concordat/device/ops/optimizer.hpp"
#include "concordat/model/parameters.hpp"
#include "concordat/parallel/mesh.hpp"
#include "concordat/train/gradient_norm.hpp"
#include "concordat/train/ownership.hpp"

namespace concordat::train {

using device::AdamwSettings;

class AdamW {
 public:
  /// What is given must outlive it.
  AdamW(device::Exec& exec, model::ParameterSet& set, parallel::ProcessMesh& mesh,
        const Ownership& ownership, GradientNorm& norm, const AdamwSettings& settings,
        float clip_norm);

  /// `updates_before` counts the updates already made: it makes the bias corrections. The gradients
  /// are `loss_scale` times as large as they should be; it must be a power of two.
  void step(device::Exec& exec, std::int64_t updates_before, double rate, double loss_scale = 1.0);

  /// [ownership.count()] f32. In f32 without ZeRO-1 the set's compute copy itself.
  const Tensor& master() const { return master_; }
  bool one_copy() const { return one_copy_; }
  const Tensor& m() const { return m_; }
  const Tensor& v() const { return v_; }
  /// [num_local] f32: all of master, m or v. Under ZeRO-1 gathered, in the place of the gradients.
  Tensor whole(device::Exec& exec, const Tensor& mine);
  /// Sets what this rank owns of master, m or v from all of it, [num_local] f32 on the host.
  void assign(device::Exec& exec, const Tensor& mine, const Tensor& host);
  /// After a write to the master from outside: the compute copy follows.
  void refresh_compute(device::Exec& exec);

  /// 0-d f64: the gradient's squared norm over the whole model, before clipping and still scaled.
  const Tensor& squares() const { return norm_.squares(); }
  /// 0-d f32: not 0 when the last step changed nothing because the gradient was not finite.
  const Tensor& found_inf() const { return scalars_.found_inf; }

 private:
  /// Neighbouring tensors that one call may take: equal decay and compute dtype.
  struct Run {
    std::int64_t begin = 0;
    std::int64_t count = 0;
    std::int64_t at = 0;  ///< in master, m and v
    bool decay = false;
    Dtype compute = Dtype::f32;
  };
  static std::vector<Run> runs_of(const model::ParameterSet& set, bool by_decay);
  std::vector<Run> owned(const std::vector<Run>& runs) const;
  void plan_gathering();
  void gather_compute(device::Exec& exec);

  /// A run of the compute copy inside a bucket, of one dtype, and where its owners' parts begin.
  struct Gathering {
    std::int64_t begin = 0;
    std::int64_t count = 0;
    std::vector<std::int64_t> bounds{};
  };

  model::ParameterSet& set_;
  parallel::ProcessMesh& mesh_;
  const Ownership& ownership_;
  GradientNorm& norm_;
  AdamwSettings settings_;
  float clip_norm_;
  std::vector<Run> update_runs_;
  std::vector<Gathering> gatherings_;
  Tensor master_, m_, v_;
  bool one_copy_ = false;  // in f32 the master is what products read
  Tensor unscale_;         // 0-d: 1 / loss scale
  device::AdamwScalars scalars_;
};

}  // namespace concordat::train
