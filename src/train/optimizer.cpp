#include "concordat/train/optimizer.hpp"

#include <cmath>

#include "concordat/device/ops/elementwise.hpp"

namespace concordat::train {

template <typename Flag>
std::vector<AdamW::Run> AdamW::runs_of(const model::ParameterSet& set, bool by_dtype, Flag&& flag) {
  std::vector<Run> runs;
  for (const model::LocalTensor& tensor : set.tensors()) {
    const bool value = flag(tensor);
    if (!runs.empty() && runs.back().flag == value &&
        (!by_dtype || runs.back().compute == tensor.compute)) {
      runs.back().count += tensor.count;
    } else {
      runs.push_back({tensor.begin, tensor.count, value, tensor.compute});
    }
  }
  return runs;
}

AdamW::AdamW(device::Exec& exec, model::ParameterSet& set, parallel::ProcessMesh& mesh,
             const AdamwSettings& settings, float clip_norm)
    : set_(set), mesh_(mesh), settings_(settings), clip_norm_(clip_norm) {
  update_runs_ = runs_of(set, true, [](const auto& tensor) { return tensor.spec.decay; });
  counted_runs_ = runs_of(set, false, [](const auto& tensor) { return tensor.counted; });
  for (Tensor* state : {&master_, &m_, &v_}) {
    *state = exec.backend.allocate(Dtype::f32, {set.num_local()});
    device::fill(exec, *state, 0.0);
  }
  squares_ = exec.backend.allocate(Dtype::f64, {});
  for (Tensor* scalar : {&scalars_.rate, &scalars_.correction1, &scalars_.correction2,
                         &scalars_.clip, &scalars_.found_inf}) {
    *scalar = exec.backend.allocate(Dtype::f32, {});
    device::fill(exec, *scalar, 0.0);
  }
}

void AdamW::step(device::Exec& exec, std::int64_t updates_before, double rate) {
  device::fill(exec, squares_, 0.0);
  for (const Run& run : counted_runs_) {
    if (!run.flag) continue;
    device::sum_squares(exec, squares_, set_.flat_gradient(run.begin, run.count),
                        device::Write::accumulate);
  }
  for (const auto axis : {parallel::Axis::tp, parallel::Axis::pp}) {
    mesh_.axis(axis).all_reduce(squares_, comm::ReduceOp::sum, exec.stream);
  }
  device::clip_factor(exec, scalars_.clip, scalars_.found_inf, squares_, clip_norm_);

  const auto update = static_cast<double>(updates_before + 1);
  device::fill(exec, scalars_.rate, rate);
  device::fill(exec, scalars_.correction1,
               1.0 - std::pow(static_cast<double>(settings_.beta1), update));
  device::fill(exec, scalars_.correction2,
               1.0 - std::pow(static_cast<double>(settings_.beta2), update));
  for (const Run& run : update_runs_) {
    AdamwSettings settings = settings_;
    if (!run.flag) settings.weight_decay = 0.0F;
    device::adamw(exec,
                  {.master = master_.slice(0, run.begin, run.count),
                   .m = m_.slice(0, run.begin, run.count),
                   .v = v_.slice(0, run.begin, run.count),
                   .compute = set_.flat_compute(run.begin, run.count)},
                  set_.flat_gradient(run.begin, run.count), scalars_, settings);
  }
  set_.bump();
}

void AdamW::refresh_compute(device::Exec& exec) {
  for (const Run& run : update_runs_) {
    device::copy(exec, set_.flat_compute(run.begin, run.count),
                 master_.slice(0, run.begin, run.count));
  }
  set_.bump();
}

}  // namespace concordat::train
