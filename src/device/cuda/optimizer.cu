// Clipping and AdamW over flat spans. AdamW moves 28 bytes per element, and 2 more for a 16-bit
// copy.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/packs.cuh"

namespace concordat::device::cuda {
namespace {

constexpr unsigned threads = 256;

template <typename T>
__global__ void clip_kernel(Vec<float> factor, Vec<float> found_inf, Vec<T> squares,
                            float max_norm) {
  if (threadIdx.x != 0) return;
  const auto total = static_cast<double>(squares.load(0));
  const bool finite = isfinite(total);
  double clip = 1.0;
  if (max_norm > 0.0F && finite) {
    const double norm = sqrt(total);
    if (norm > double{max_norm}) clip = double{max_norm} / norm;
  }
  factor.store(0, finite ? static_cast<float>(clip) : 0.0F);
  found_inf.store(0, finite ? 0.0F : 1.0F);
}

struct State {
  Vec<float> master, m, v, gradient;
};
struct Scalars {
  Vec<float> rate, correction1, correction2, clip, found_inf;
};

/// `copy` has no elements where the master itself is what products read.
template <int n, typename T>
__global__ void adamw_kernel(State state, Vec<T> copy, Scalars scalars, AdamwSettings settings) {
  const std::int64_t i = n * global_x();
  if (i >= state.gradient.count || scalars.found_inf.load(0) != 0.0F) return;
  const float rate = scalars.rate.load(0);
  const float clip = scalars.clip.load(0);
  const float correction1 = scalars.correction1.load(0);
  const float correction2 = scalars.correction2.load(0);
  const Floats<n> gradient = load_floats<n, true>(state.gradient, i);
  Floats<n> m = load_floats<n, true>(state.m, i);
  Floats<n> v = load_floats<n, true>(state.v, i);
  Floats<n> master = load_floats<n, true>(state.master, i);
#pragma unroll
  for (int k = 0; k < n; ++k) {
    const float g = gradient.at[k] * clip;
    m.at[k] = settings.beta1 * m.at[k] + (1.0F - settings.beta1) * g;
    v.at[k] = settings.beta2 * v.at[k] + (1.0F - settings.beta2) * g * g;
    const float step = m.at[k] / correction1 / (sqrtf(v.at[k] / correction2) + settings.eps);
    const float decayed = master.at[k] * (1.0F - rate * settings.weight_decay);
    master.at[k] = decayed - rate * step;
  }
  store_floats<n, true>(state.m, i, m);
  store_floats<n, true>(state.v, i, v);
  store_floats<n, true>(state.master, i, master);
  if (copy.count > 0) store_floats<n, true>(copy, i, master);
}

}  // namespace

void CudaKernels::clip_factor(const Tensor& factor, const Tensor& found_inf, const Tensor& squares,
                              const float& max_norm) {
  if (squares.dtype() == Dtype::f64) {
    launch(stream(), {1}, {lanes}, &clip_kernel<double>, vec<float>(factor), vec<float>(found_inf),
           vec<double>(squares), max_norm);
  } else {
    launch(stream(), {1}, {lanes}, &clip_kernel<float>, vec<float>(factor), vec<float>(found_inf),
           vec<float>(squares), max_norm);
  }
}

void CudaKernels::adamw(const AdamwState& state, const Tensor& gradient,
                        const AdamwScalars& scalars, const AdamwSettings& settings) {
  if (gradient.size() == 0) return;
  const Dtype format = state.compute.empty() ? Dtype::f32 : state.compute.dtype();
  with_format(format, [&]<typename T>() {
    const State s{vec<float>(state.master), vec<float>(state.m), vec<float>(state.v),
                  vec<float>(gradient)};
    const auto copy = vec<T>(state.compute);
    const Scalars now{vec<float>(scalars.rate), vec<float>(scalars.correction1),
                      vec<float>(scalars.correction2), vec<float>(scalars.clip),
                      vec<float>(scalars.found_inf)};
    constexpr int most = pack_of<T>;
    with_pack<most>(packs<most>(s.master, s.m, s.v, s.gradient, copy), [&]<int n>() {
      launch(stream(), {blocks_for(packs_in(s.gradient.count, n), threads)}, {threads},
             &adamw_kernel<n, T>, s, copy, now, settings);
    });
  });
}

}  // namespace concordat::device::cuda
