#include "concordat/train/optimizer.hpp"

#include <algorithm>
#include <cmath>

#include "concordat/device/ops/elementwise.hpp"

namespace concordat::train {

std::vector<AdamW::Run> AdamW::runs_of(const model::ParameterSet& set, bool by_decay) {
  std::vector<Run> runs;
  for (const model::LocalTensor& tensor : set.tensors()) {
    const bool decay = by_decay && tensor.spec.decay;
    if (!runs.empty() && runs.back().decay == decay && runs.back().compute == tensor.compute) {
      runs.back().count += tensor.count;
    } else {
      runs.push_back({tensor.begin, tensor.count, tensor.begin, decay, tensor.compute});
    }
  }
  return runs;
}

std::vector<AdamW::Run> AdamW::owned(const std::vector<Run>& runs) const {
  if (!ownership_.shared()) return runs;
  std::vector<Run> mine;
  for (const Ownership::Part& part : ownership_.parts()) {
    for (const Run& run : runs) {
      const std::int64_t begin = std::max(run.begin, part.begin);
      const std::int64_t end = std::min(run.begin + run.count, part.begin + part.count);
      if (begin >= end) continue;
      mine.push_back({begin, end - begin, part.at + begin - part.begin, run.decay, run.compute});
    }
  }
  return mine;
}

void AdamW::plan_gathering() {
  if (!ownership_.shared()) return;
  const auto runs = runs_of(set_, false);
  for (const model::Bucket& bucket : set_.buckets()) {
    for (const Run& run : runs) {
      const std::int64_t begin = std::max(run.begin, bucket.begin);
      const std::int64_t end = std::min(run.begin + run.count, bucket.begin + bucket.count);
      if (begin >= end) continue;
      Gathering gathering{.begin = begin, .count = end - begin};
      for (const std::int64_t bound : ownership_.bounds(bucket.index)) {
        gathering.bounds.push_back(std::clamp(bucket.begin + bound, begin, end) - begin);
      }
      gatherings_.push_back(std::move(gathering));
    }
  }
}

void AdamW::gather_compute(device::Exec& exec) {
  for (const Gathering& each : gatherings_) {
    mesh_.replicas().gather_parts(set_.flat_compute(each.begin, each.count), each.bounds,
                                  exec.stream);
  }
}

AdamW::AdamW(device::Exec& exec, model::ParameterSet& set, parallel::ProcessMesh& mesh,
             const Ownership& ownership, GradientNorm& norm, const AdamwSettings& settings,
             float clip_norm)
    : set_(set),
      mesh_(mesh),
      ownership_(ownership),
      norm_(norm),
      settings_(settings),
      clip_norm_(clip_norm) {
  update_runs_ = owned(runs_of(set, true));
  plan_gathering();
  one_copy_ =
      !ownership.shared() && std::all_of(set.tensors().begin(), set.tensors().end(),
                                         [](const auto& t) { return t.compute == Dtype::f32; });
  if (one_copy_) master_ = set.flat_compute(0, set.num_local());
  for (Tensor* state : {&master_, &m_, &v_}) {
    if (state == &master_ && one_copy_) continue;
    *state = exec.backend.allocate(Dtype::f32, {ownership.count()});
    device::fill(exec, *state, 0.0);
  }
  unscale_ = exec.backend.allocate(Dtype::f32, {});
  for (Tensor* scalar : {&scalars_.rate, &scalars_.correction1, &scalars_.correction2,
                         &scalars_.clip, &scalars_.found_inf}) {
    *scalar = exec.backend.allocate(Dtype::f32, {});
    device::fill(exec, *scalar, 0.0);
  }
}

void AdamW::step(device::Exec& exec, std::int64_t updates_before, double rate, double loss_scale) {
  norm_.measure(exec);
  // The scaled norm is held against the scaled limit; the factor then takes the scale out.
  device::clip_factor(exec, scalars_.clip, scalars_.found_inf, norm_.squares(),
                      clip_norm_ * static_cast<float>(loss_scale));
  if (loss_scale != 1.0) {
    device::fill(exec, unscale_, 1.0 / loss_scale);
    device::scale_by(exec, scalars_.clip, unscale_);
  }

  const auto update = static_cast<double>(updates_before + 1);
  device::fill(exec, scalars_.rate, rate);
  device::fill(exec, scalars_.correction1,
               1.0 - std::pow(static_cast<double>(settings_.beta1), update));
  device::fill(exec, scalars_.correction2,
               1.0 - std::pow(static_cast<double>(settings_.beta2), update));
  for (const Run& run : update_runs_) {
    AdamwSettings settings = settings_;
    if (!run.decay) settings.weight_decay = 0.0F;
    device::adamw(exec,
                  {.master = master_.slice(0, run.at, run.count),
                   .m = m_.slice(0, run.at, run.count),
                   .v = v_.slice(0, run.at, run.count),
                   .compute = one_copy_ ? Tensor() : set_.flat_compute(run.begin, run.count)},
                  set_.flat_gradient(run.begin, run.count), scalars_, settings);
  }
  gather_compute(exec);
  set_.bump();
}

Tensor AdamW::whole(device::Exec& exec, const Tensor& mine) {
  if (!ownership_.shared()) return mine;
  for (const Ownership::Part& part : ownership_.parts()) {
    device::copy(exec, set_.flat_gradient(part.begin, part.count),
                 mine.slice(0, part.at, part.count));
  }
  for (const model::Bucket& bucket : set_.buckets()) {
    mesh_.replicas().gather_parts(bucket.gradient, ownership_.bounds(bucket.index), exec.stream);
  }
  return set_.flat_gradient(0, set_.num_local());
}

void AdamW::assign(device::Exec& exec, const Tensor& mine, const Tensor& host) {
  const auto values = host.span<float>();
  CONCORDAT_REQUIRE(host.size() == set_.num_local(), std::to_string(host.size()));
  for (const Ownership::Part& part : ownership_.parts()) {
    device::write<float>(
        exec, mine.slice(0, part.at, part.count),
        values.subspan(static_cast<std::size_t>(part.begin), static_cast<std::size_t>(part.count)));
  }
}

void AdamW::refresh_compute(device::Exec& exec) {
  for (const Run& run : update_runs_) {
    if (one_copy_) break;
    device::copy(exec, set_.flat_compute(run.begin, run.count),
                 master_.slice(0, run.at, run.count));
  }
  gather_compute(exec);
  set_.bump();
}

}  // namespace concordat::train
