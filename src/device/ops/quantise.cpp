#include "concordat/device/ops/quantise.hpp"

#include <cmath>

#include "device/launch.hpp"

namespace concordat::device {

Dtype lane_dtype(exact::Lane lane) {
  switch (lane) {
    case exact::Lane::u8:
      return Dtype::u8;
    case exact::Lane::u16:
      return Dtype::u16;
    case exact::Lane::u32:
      return Dtype::u32;
  }
  throw Bug("lane");
}

bool quantises_elsewhere(Exec& exec) {
  return exec.backend.kernels(exec.stream).place() == Place::device;
}

void quantise_update(Exec& exec, const QuantiseOutputs& out, const QuantiseInputs& in,
                     const QuantiseSettings& settings) {
  const auto& [q, weight, scale] = settings;
  CONCORDAT_REQUIRE(weight.cap > 0 && weight.tokens <= weight.cap, std::to_string(weight.tokens));
  CONCORDAT_REQUIRE(q.bits >= exact::min_quantiser_bits && q.bits <= exact::max_quantiser_bits &&
                        q.bits <= static_cast<int>(q.lane),
                    std::to_string(q.bits) + " bits");
  CONCORDAT_REQUIRE(std::isfinite(scale) && scale > 0.0F, std::to_string(scale));
  const std::int64_t count = in.base.size();
  const Dtype lane = lane_dtype(q.lane);
  require_vector("base", in.base, count, Dtype::f32);
  require_vector("theta", in.theta, count, Dtype::f32);
  require_vector("random", in.random, count, Dtype::u32);
  require_vector("codes", out.codes, count, lane);
  require_vector("not_finite", out.not_finite, 1, Dtype::i32);
  if (!in.error.empty()) require_vector("error", in.error, count, Dtype::f32);
  if (!out.error.empty()) require_vector("error", out.error, count, Dtype::f32);
  if (!in.mask.empty()) require_vector("mask", in.mask, count, lane);
  const Place place = exec.backend.kernels(exec.stream).place();
  for (const Tensor* t : {&in.base, &in.theta, &in.error, &in.random, &in.mask, &out.codes,
                          &out.error, &out.not_finite}) {
    CONCORDAT_REQUIRE(t->empty() || t->place() == place, "a tensor of another back end");
  }
  if (count == 0) return;
  launch(exec, &Kernels::quantise_update, out, in, settings);
}

}  // namespace concordat::device
