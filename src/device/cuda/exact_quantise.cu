// Files named exact_*.cu must give the CPU's bits: they are compiled without contraction, flushing
// and approximate division, their products and sums are the _rn intrinsics, which nothing fuses,
// and scripts/cuda-exact-check.py finds no fused instruction in what comes out.
//
// The quantiser moves 20 bytes and twice the lane's per element, 24 where the error is kept.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

namespace concordat::device::cuda {
namespace {

constexpr unsigned threads = 256;

/// As src/exact/quantiser.cpp makes them.
struct Factors {
  float to_steps;    ///< w / (w_cap * scale)
  float from_steps;  ///< scale * w_cap / w
  float low;         ///< least code, centred
  float high;        ///< greatest code, centred
  std::int32_t offset;
  bool weightless;

  explicit Factors(const QuantiseSettings& settings)
      : offset(settings.quantiser.offset()), weightless(settings.weight.tokens == 0) {
    const double tokens = settings.weight.tokens;
    const double cap = settings.weight.cap;
    const double width = double{settings.scale};
    to_steps = static_cast<float>(tokens / (cap * width));
    from_steps = weightless ? 0.0F : static_cast<float>(width * cap / tokens);
    low = static_cast<float>(-offset);
    high = static_cast<float>(offset - 1);
  }
};

/// floor(y) + (fraction(y) > random), y clamped to the code range first.
__device__ __forceinline__ std::int32_t rounded(float v, std::uint32_t word, const Factors& f) {
  float y = __fmul_rn(v, f.to_steps);
  y = y < f.low ? f.low : y;
  y = y > f.high ? f.high : y;
  const auto toward_zero = static_cast<std::int32_t>(y);
  const std::int32_t floor_y = toward_zero - (static_cast<float>(toward_zero) > y ? 1 : 0);
  const float fraction = __fsub_rn(y, static_cast<float>(floor_y));
  const float threshold = __fmul_rn(static_cast<float>(word >> 8U), 0x1p-24F);
  return floor_y + (fraction > threshold ? 1 : 0);
}

template <typename Lane>
__global__ void quantise_kernel(Vec<Lane> codes, Vec<float> error_out, Vec<std::int32_t> not_finite,
                                Vec<float> base, Vec<float> theta, Vec<float> error_in,
                                Vec<std::uint32_t> random, Vec<Lane> mask, Factors f) {
  const std::int64_t i = global_x();
  if (i >= base.count) return;
  const float u = __fsub_rn(base.load(i), theta.load(i));
  const float v = error_in.count > 0 ? __fadd_rn(u, error_in.load(i)) : u;
  // All exponent bits set: NaN or infinity. Whoever finds one writes the same 1.
  if ((__float_as_uint(v) & 0x7F800000U) == 0x7F800000U) not_finite.store(0, 1);
  const std::int32_t code = f.weightless ? 0 : rounded(v, random.load(i), f);
  const auto lane = static_cast<Lane>(code + f.offset);
  codes.store(i, mask.count > 0 ? static_cast<Lane>(lane + mask.load(i)) : lane);
  if (error_out.count > 0) {
    error_out.store(i, __fsub_rn(v, __fmul_rn(static_cast<float>(code), f.from_steps)));
  }
}

template <typename Lane>
void start(cudaStream_t stream, const Factors& factors, const QuantiseInputs& in,
           const QuantiseOutputs& out) {
  launch(stream, {blocks_for(in.base.size(), threads)}, {threads}, &quantise_kernel<Lane>,
         vec<Lane>(out.codes), vec<float>(out.error), vec<std::int32_t>(out.not_finite),
         vec<float>(in.base), vec<float>(in.theta), vec<float>(in.error),
         vec<std::uint32_t>(in.random), vec<Lane>(in.mask), factors);
}

}  // namespace

void CudaKernels::quantise_update(const QuantiseOutputs& out, const QuantiseInputs& in,
                                  const QuantiseSettings& settings) {
  const Factors factors(settings);
  switch (settings.quantiser.lane) {
    case exact::Lane::u8:
      return start<std::uint8_t>(stream(), factors, in, out);
    case exact::Lane::u16:
      return start<std::uint16_t>(stream(), factors, in, out);
    case exact::Lane::u32:
      return start<std::uint32_t>(stream(), factors, in, out);
  }
}

}  // namespace concordat::device::cuda
