// Rates of the device ops at the shapes of the quickstart's model (width 128, ffn 384, 4 heads,
// 16 sequences of 128 tokens), on the back end named by CONCORDAT_BENCH_BACKEND ("cpu").
//
//   OMP_NUM_THREADS=1 build/bench/device_bench --benchmark_filter=matmul
//
// "flops" counts multiply-adds twice, and of causal attention only the half that is computed.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include "concordat/device/ops/attention.hpp"
#include "concordat/device/ops/cross_entropy.hpp"
#include "concordat/device/ops/elementwise.hpp"
#include "concordat/device/ops/matmul.hpp"
#include "concordat/device/ops/optimizer.hpp"
#include "concordat/device/ops/rms_norm.hpp"
#include "concordat/device/ops/rope.hpp"
#include "concordat/device/ops/swiglu.hpp"

namespace {

using namespace concordat;
using namespace concordat::device;

constexpr std::int64_t sequences = 16;
constexpr std::int64_t length = 128;
constexpr std::int64_t tokens = sequences * length;
constexpr std::int64_t width = 128;
constexpr std::int64_t heads = 4;
constexpr std::int64_t ffn = 384;

std::string backend_name() {
  const char* given = std::getenv("CONCORDAT_BENCH_BACKEND");
  return given == nullptr ? "cpu" : given;
}

class Bench {
 public:
  Exec& exec() { return session_.exec(); }
  Tensor values(Shape shape) {
    std::vector<float> host(static_cast<std::size_t>(num_elements(shape)));
    std::uint32_t state = 1;
    for (float& each : host) {
      state = state * 1664525U + 1013904223U;
      each = static_cast<float>(state >> 8U) / 8388608.0F - 1.0F;
    }
    return session_.upload<float>(std::move(shape), std::span<const float>(host));
  }
  Tensor ints(std::int64_t count, std::int64_t period) {
    std::vector<std::int32_t> host(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      host[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % period);
    }
    return session_.upload<std::int32_t>({count}, std::span<const std::int32_t>(host));
  }
  /// Runs `work` for each iteration; the stream is waited for at the end.
  template <typename Work>
  void run(benchmark::State& state, double flops, double bytes, Work&& work) {
    work();
    exec().stream.synchronize();
    for (auto iteration : state) {
      (void)iteration;
      work();
    }
    exec().stream.synchronize();
    auto rate = benchmark::Counter::kIsIterationInvariantRate;
    if (flops > 0) state.counters["flops"] = benchmark::Counter(flops, rate);
    if (bytes > 0) state.counters["bytes"] = benchmark::Counter(bytes, rate);
  }

 private:
  Session session_{backend_name()};
};

/// Forward (y = x W^T), input gradient or weight gradient of a linear layer.
void matmul_forward(benchmark::State& state) {
  Bench bench;
  std::int64_t in = state.range(0);
  std::int64_t out = state.range(1);
  Parameter weight(bench.values({out, in}));
  Tensor x = bench.values({tokens, in});
  Tensor y = bench.values({tokens, out});
  bench.run(state, 2.0 * static_cast<double>(tokens * in * out), 0.0,
            [&] { matmul(bench.exec(), y, x, weight, {.transpose_b = true}); });
}

void matmul_backward_input(benchmark::State& state) {
  Bench bench;
  std::int64_t in = state.range(0);
  std::int64_t out = state.range(1);
  Parameter weight(bench.values({out, in}));
  Tensor x = bench.values({tokens, in});
  Tensor y = bench.values({tokens, out});
  bench.run(state, 2.0 * static_cast<double>(tokens * in * out), 0.0,
            [&] { matmul(bench.exec(), x, y, weight); });
}

void matmul_backward_weight(benchmark::State& state) {
  Bench bench;
  std::int64_t in = state.range(0);
  std::int64_t out = state.range(1);
  Tensor grad = bench.values({out, in});
  Tensor x = bench.values({tokens, in});
  Tensor y = bench.values({tokens, out});
  bench.run(state, 2.0 * static_cast<double>(tokens * in * out), 0.0,
            [&] { matmul(bench.exec(), grad, y, x, {.transpose_a = true, .beta = 0.5F}); });
}

AttentionShape attention_shape() {
  return {.batch = sequences,
          .heads = heads,
          .kv_heads = heads,
          .head_dim = width / heads,
          .q_length = length,
          .k_length = length};
}

void attention(benchmark::State& state) {
  Bench bench;
  bool backward = state.range(0) != 0;
  Tensor q = bench.values({tokens, width});
  Tensor k = bench.values({tokens, width});
  Tensor v = bench.values({tokens, width});
  Tensor out = bench.values({tokens, width});
  Tensor lse = bench.values({tokens, heads});
  AttentionGradients grads{bench.values({tokens, width}), bench.values({tokens, width}),
                           bench.values({tokens, width})};
  double forward = 2.0 * 2.0 * static_cast<double>(tokens * length * width) / 2.0;
  bench.run(state, backward ? 2.5 * forward : forward, 0.0, [&] {
    if (backward) {
      attention_backward(bench.exec(), grads, out, q, k, v, out, lse, attention_shape());
    } else {
      attention_forward(bench.exec(), out, lse, q, k, v, attention_shape());
    }
  });
}

void norm(benchmark::State& state) {
  Bench bench;
  Tensor x = bench.values({tokens, width});
  Tensor y = bench.values({tokens, width});
  Tensor inv = bench.values({tokens});
  Tensor weight = bench.values({width});
  bench.run(state, 0.0, 8.0 * static_cast<double>(tokens * width),
            [&] { rms_norm_forward(bench.exec(), y, inv, x, weight, 1e-5F); });
}

void rotate(benchmark::State& state) {
  Bench bench;
  Tensor x = bench.values({tokens, 2 * width});
  Tensor positions = bench.ints(tokens, length);
  bench.run(state, 0.0, 16.0 * static_cast<double>(tokens * width),
            [&] { rope(bench.exec(), x, x, positions, {.head_dim = width / heads}); });
}

void swiglu(benchmark::State& state) {
  Bench bench;
  bool backward = state.range(0) != 0;
  Tensor both = bench.values({tokens, 2 * ffn});
  Tensor grads = bench.values({tokens, 2 * ffn});
  Tensor out = bench.values({tokens, ffn});
  auto left = [](const Tensor& t) { return t.slice(1, 0, ffn); };
  auto right = [](const Tensor& t) { return t.slice(1, ffn, ffn); };
  bench.run(state, 0.0, (backward ? 20.0 : 12.0) * static_cast<double>(tokens * ffn), [&] {
    if (backward) {
      swiglu_backward(bench.exec(), left(grads), right(grads), out, left(both), right(both));
    } else {
      swiglu_forward(bench.exec(), out, left(both), right(both));
    }
  });
}

void optimizer(benchmark::State& state) {
  Bench bench;
  std::int64_t count = state.range(0);
  AdamwState weights{bench.values({count}), bench.values({count}), bench.values({count}), {}};
  fill(bench.exec(), weights.v, 1.0);
  Tensor gradient = bench.values({count});
  Tensor one = bench.values({});
  Tensor zero = bench.values({});
  fill(bench.exec(), one, 1.0);
  fill(bench.exec(), zero, 0.0);
  bench.run(state, 0.0, 28.0 * static_cast<double>(count), [&] {
    adamw(bench.exec(), weights, gradient, {zero, one, one, one, zero}, {});
  });
}

/// What memory gives: a += s b over arrays far larger than the caches. Nothing is written that was
/// not read, as in the optimizer, so the bytes of both are all that travels.
void stream(benchmark::State& state) {
  // Where the ops' tensors lie, on large pages too.
  Bench bench;
  const std::int64_t count = state.range(0);
  const Tensor a = bench.values({count});
  const Tensor b = bench.values({count});
  const auto work = [&](float s) {
    float* to = a.raw<float>();
    const float* from = b.raw<float>();
#pragma omp parallel for simd
    for (std::int64_t i = 0; i < count; ++i) to[i] += s * from[i];
  };
  work(0.5F);
  for (auto iteration : state) {
    (void)iteration;
    work(1e-6F);
    benchmark::ClobberMemory();
  }
  state.counters["bytes"] = benchmark::Counter(12.0 * static_cast<double>(count),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(matmul_forward)->Args({width, 3 * width})->Args({width, 2 * ffn})->Args({ffn, width});
BENCHMARK(matmul_backward_input)->Args({width, 3 * width})->Args({width, 2 * ffn});
BENCHMARK(matmul_backward_weight)->Args({width, 3 * width})->Args({width, 2 * ffn});
BENCHMARK(attention)->Arg(0)->Arg(1);
BENCHMARK(norm);
BENCHMARK(rotate);
BENCHMARK(swiglu)->Arg(0)->Arg(1);
BENCHMARK(optimizer)->Arg(850000)->Arg(1 << 25)->UseRealTime();
BENCHMARK(stream)->Arg(1 << 26)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
