// The two roofs of a back end: matrix products by precision and size, and copies in its memory.
//
//   ./roofline backend=cuda most=8192
//   ./roofline                          // cpu, up to 1024
//
// Products go through the ops, as training's do: one to warm up, then as many as take about 0.2 s
// in one stream, and one wait. The operands are zeros and halves, so a GPU's clock is at its best:
// real data are slower by some percent. A Markdown table; the last line is for scripts: key=value.
// most=0: only the name of the device. Exit code 69 without one, and the reason as one line.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "concordat/core/clock.hpp"
#include "concordat/device/errors.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/matmul.hpp"
#include "concordat/device/pending.hpp"

using namespace concordat;

namespace {

/// Seconds of one call, of so many in a row that the wait at the end does not count.
template <typename Work>
double seconds_of(device::Exec& exec, const Tensor& result, Work work) {
  const Tensor corner = result.slice(0, 0, 1).slice(1, 0, 1);
  const auto timed = [&](int times) {
    const auto begin = system_clock().monotonic();
    for (int i = 0; i < times; ++i) work();
    device::read_back<float>(exec, corner).get();
    return std::chrono::duration<double>(system_clock().monotonic() - begin).count();
  };
  timed(1);
  const double once = timed(1);
  const int times = std::clamp(static_cast<int>(0.2 / std::max(once, 1e-6)), 1, 2000);
  return timed(times) / times;
}

double product(device::Exec& exec, Dtype dtype, std::int64_t size) {
  const Tensor a = exec.backend.allocate(dtype, {size, size});
  const Tensor b = exec.backend.allocate(dtype, {size, size});
  const Tensor c = exec.backend.allocate(Dtype::f32, {size, size});
  device::fill(exec, a, 0.5);
  device::fill(exec, b, 0.0);
  return seconds_of(exec, c, [&] { device::matmul(exec, c, a, b); });
}

double copy_rate(device::Exec& exec, std::int64_t mebibytes) {
  const Tensor from = exec.backend.allocate(Dtype::f32, {mebibytes, 262144});
  const Tensor to = exec.backend.allocate(Dtype::f32, {mebibytes, 262144});
  device::fill(exec, from, 1.0);
  const double seconds = seconds_of(exec, to, [&] { device::copy(exec, to, from); });
  return 2.0 * static_cast<double>(from.size_bytes()) / seconds;
}

void measure(device::Session& session, std::int64_t most) {
  std::map<std::string, double> best;
  std::printf(
      "| product of squares | bytes per element in | time, ms | TFLOP/s |\n|---|---|---|---|\n");
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    if (!session.backend().multiplies(dtype)) continue;
    for (std::int64_t size = std::min<std::int64_t>(512, most); size <= most; size *= 2) {
      const double seconds = product(session.exec(), dtype, size);
      const auto n = static_cast<double>(size);
      const double rate = 2.0 * n * n * n / seconds * 1e-12;
      const std::string name(name_of(dtype));
      best[name] = std::max(best[name], rate);
      std::printf("| %s %lld | %zu | %.4f | %.3f |\n", name.c_str(), static_cast<long long>(size),
                  size_of(dtype), seconds * 1e3, rate);
    }
  }
  const double copies = copy_rate(session.exec(), most >= 4096 ? 1024 : 64) * 1e-9;
  std::printf("| copy in memory, read and written | 4 | - | %.1f GB/s |\n\n", copies);
  for (const auto& [name, rate] : best) std::printf("best_%s_tflops=%.3f ", name.c_str(), rate);
  std::printf("copy_gb_per_s=%.1f\n", copies);
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> keys{{"backend", "cpu"}, {"most", "1024"}};
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto at = arg.find('=');
    if (at == std::string::npos || !keys.contains(arg.substr(0, at))) {
      std::fprintf(stderr, "roofline: '%s' is neither backend= nor most=\n", argv[i]);
      return 64;
    }
    keys[arg.substr(0, at)] = arg.substr(at + 1);
  }
  try {
    device::Session session(keys.at("backend"));
    std::printf("%s\n\n", session.backend().instructions_in_use().c_str());
    const std::int64_t most = std::stoll(keys.at("most"));
    if (most > 0) measure(session, most);
  } catch (const Error& error) {
    const bool none = error.code() == device::errors::no_gpu;
    std::fprintf(stderr, "%s\n", none ? error.fields().found.c_str() : error.what());
    return none ? 69 : static_cast<int>(error.exit_code());
  }
}
