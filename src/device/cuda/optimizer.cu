// Clipping and AdamW over flat spans. AdamW moves 28 bytes per element, and 2 more for a 16-bit
// copy.
#include "device/cuda/cuda_kernels.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/views.cuh"

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
template <typename T>
__global__ void adamw_kernel(State state, Vec<T> copy, Scalars scalars, AdamwSettings settings) {
  const std::int64_t i = global_x();
  if (i >= state.gradient.count || scalars.found_inf.load(0) != 0.0F) return;
  const float rate = scalars.rate.load(0);
  const float g = state.gradient.load(i) * scalars.clip.load(0);
  const float m = settings.beta1 * state.m.load(i) + (1.0F - settings.beta1) * g;
  const float v = settings.beta2 * state.v.load(i) + (1.0F - settings.beta2) * g * g;
  const float step =
      m / scalars.correction1.load(0) / (sqrtf(v / scalars.correction2.load(0)) + settings.eps);
  const float decayed = state.master.load(i) * (1.0F - rate * settings.weight_decay);
  const float master = decayed - rate * step;
  state.m.store(i, m);
  state.v.store(i, v);
  state.master.store(i, master);
  if (copy.count > 0) copy.store(i, narrow<T>(master));
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
    launch(stream(), {blocks_for(gradient.size(), threads)}, {threads}, &adamw_kernel<T>,
           State{vec<float>(state.master), vec<float>(state.m), vec<float>(state.v),
                 vec<float>(gradient)},
           vec<T>(state.compute),
           Scalars{vec<float>(scalars.rate), vec<float>(scalars.correction1),
                   vec<float>(scalars.correction2), vec<float>(scalars.clip),
                   vec<float>(scalars.found_inf)},
           settings);
  });
}

}  // namespace concordat::device::cuda
