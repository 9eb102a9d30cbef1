// The quantiser by `exact` itself.
#include <algorithm>
#include <cmath>

#include "concordat/exact/outer.hpp"
#include "device/reference/reference_kernels.hpp"

namespace concordat::device {
namespace {

template <typename T>
std::span<T> values(const Tensor& t) {
  if (t.empty()) return {};
  return {t.raw<T>(), static_cast<std::size_t>(t.size())};
}

}  // namespace

void ReferenceKernels::quantise_update(const QuantiseOutputs& out, const QuantiseInputs& in,
                                       const QuantiseSettings& settings) {
  const auto count = static_cast<std::size_t>(in.base.size());
  std::vector<float> update(count);
  exact::make_update(values<float>(in.base), values<float>(in.theta), update);
  const std::span<const float> error = values<float>(in.error);
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isfinite(error.empty() ? update[i] : update[i] + error[i])) continue;
    *out.not_finite.raw<std::int32_t>() = 1;
    return;
  }
  // The codes may be the mask.
  Bytes codes(out.codes.size_bytes());
  exact::quantise(settings.quantiser, settings.weight, settings.scale, update, error,
                  values<std::uint32_t>(in.random), 0, codes, values<float>(out.error));
  if (!in.mask.empty()) {
    exact::add_lanes(settings.quantiser.lane, codes,
                     {reinterpret_cast<const std::uint8_t*>(in.mask.raw_bytes()), codes.size()});
  }
  std::ranges::copy(std::as_bytes(std::span(codes)), out.codes.raw_bytes());
}

}  // namespace concordat::device
