#include "concordat/device/ops/optimizer.hpp"

#include "device/launch.hpp"

namespace concordat::device {

void clip_factor(Exec& exec, const Tensor& factor, const Tensor& found_inf, const Tensor& squares,
                 float max_norm) {
  require_scalar("factor", factor, Dtype::f32);
  require_scalar("found_inf", found_inf, Dtype::f32);
  CONCORDAT_REQUIRE(!squares.empty() && squares.size() == 1 &&
                        (squares.dtype() == Dtype::f32 || squares.dtype() == Dtype::f64),
                    "squares");
  CONCORDAT_REQUIRE(max_norm >= 0.0F, std::to_string(max_norm));
  launch(exec, &Kernels::clip_factor, factor, found_inf, squares, max_norm);
}

void adamw(Exec& exec, const AdamwState& state, const Tensor& gradient, const AdamwScalars& scalars,
           const AdamwSettings& settings) {
  std::int64_t count = state.master.size();
  for (const Tensor* t : {&state.master, &state.m, &state.v, &gradient}) {
    require_flat("master, m, v, gradient", *t, count, Dtype::f32);
  }
  if (!state.compute.empty()) {
    require_flat("compute", state.compute, count, state.compute.dtype());
    CONCORDAT_REQUIRE(is_floating(state.compute.dtype()) && state.compute.dtype() != Dtype::f64,
                      describe("compute", state.compute));
  }
  for (const Tensor* t : {&scalars.rate, &scalars.correction1, &scalars.correction2, &scalars.clip,
                          &scalars.found_inf}) {
    require_scalar("rate, corrections, clip, found_inf", *t, Dtype::f32);
  }
  const Place place = exec.backend.kernels(exec.stream).place();
  for (const Tensor* t : {&state.master, &state.m, &state.v, &scalars.rate, &scalars.clip}) {
    CONCORDAT_REQUIRE(t->place() == place, "a tensor of another back end");
  }
  launch(exec, &Kernels::adamw, state, gradient, scalars, settings);
}

}  // namespace concordat::device
