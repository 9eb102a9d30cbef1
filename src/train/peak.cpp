#include "concordat/train/peak.hpp"

#include <algorithm>

#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/matmul.hpp"
#include "concordat/device/pending.hpp"

namespace concordat::train {

namespace {
double best_rate(device::Exec& exec, const Clock& clock, Dtype compute, std::int64_t size,
                 int times) {
  const Dtype read = exec.backend.multiplies(compute) ? compute : Dtype::f32;
  const Tensor a = exec.backend.allocate(read, {size, size});
  const Tensor b = exec.backend.allocate(read, {size, size});
  const Tensor c = exec.backend.allocate(Dtype::f32, {size, size});
  device::fill(exec, a, 0.5);
  device::fill(exec, b, 0.25);
  const Tensor corner = c.slice(0, 0, 1).slice(1, 0, 1);
  double best = 0.0;
  for (int i = 0; i < times; ++i) {
    const auto begin = clock.monotonic();
    device::matmul(exec, c, a, b);
    device::read_back<float>(exec, corner).get();
    const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
    const auto n = static_cast<double>(size);
    best = std::max(best, 2.0 * n * n * n / std::max(seconds, 1e-9));
  }
  return best;
}
}  // namespace

double product_rate(device::Exec& exec, const Clock& clock, Dtype compute) {
  const double small = best_rate(exec, clock, compute, 128, 3);
  // Large enough for full speed where 0.1 s allows it.
  const bool fast = small > 2.0 * 1024.0 * 1024.0 * 1024.0 / 0.1;
  return fast ? std::max(small, best_rate(exec, clock, compute, 1024, 5)) : small;
}

}  // namespace concordat::train
