// Training speed of the quickstart's model on one rank: tokens/s and model FLOP/s by step.
//
//   OMP_NUM_THREADS=1 ./train_step [backend=cpu] [steps=20] [micro_batch=16]
//
// Model: byte-level llama of 0.85 M parameters (width 128, 4 layers, 4 heads, ffn 384), sequences
// of 128, 16 a step. FLOPs: 6 N + 12 layers width length (include/concordat/model/config.hpp). The
// data are made up; the loss only shows that the run is one of training.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/train/trainer.hpp"

using namespace concordat;

namespace {

class MadeUp final : public train::TrainingData {
 public:
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    std::uint64_t token = index % 200;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto draw = exact::random_u32(1, exact::Purpose::synthetic, 0, index * 1000 + i);
      token = draw % 6 == 0 ? draw % 256 : (token * 5 + 7) % 256;
      tokens[i] = static_cast<std::int32_t>(token);
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string backend = argc > 1 ? argv[1] : "cpu";
  const int steps = argc > 2 ? std::atoi(argv[2]) : 20;
  train::TrainSettings settings;
  settings.model = {.vocab = 257, .width = 128, .layers = 4, .heads = 4, .kv_heads = 4, .ffn = 384};
  settings.micro_batch = argc > 3 ? std::atoi(argv[3]) : 16;
  settings.rate = {.peak = 3e-3, .floor = 3e-4, .warmup_steps = 10, .total_steps = 1000};
  device::Session session(backend);
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  MadeUp data;
  train::Trainer trainer(settings, session.exec(), mesh, data, system_clock());
  std::printf("%s: %s, %lld parameters\n", backend.c_str(),
              session.backend().instructions_in_use().c_str(),
              static_cast<long long>(settings.model.num_parameters()));
  std::vector<double> seconds;
  for (int i = 0; i < steps; ++i) {
    const auto report = trainer.step();
    seconds.push_back(report.seconds);
    if (i % 10 == 0 || i + 1 == steps) {
      std::printf("step %3d  loss %.4f  %8.0f tokens/s  %6.2f GFLOP/s\n", i, report.loss,
                  report.tokens_per_s, report.flops_per_s * 1e-9);
    }
  }
  std::sort(seconds.begin(), seconds.end());
  const double best = seconds.front();
  const double median = seconds[seconds.size() / 2];
  const auto tokens = static_cast<double>(settings.tokens_per_step());
  const double flops = tokens * model::flops_per_token(settings.model, settings.length);
  std::printf(
      "median %.1f ms: %.0f tokens/s, %.2f GFLOP/s; best %.1f ms: %.0f tokens/s, %.2f "
      "GFLOP/s; activations %.1f MB\n",
      median * 1e3, tokens / median, flops / median * 1e-9, best * 1e3, tokens / best,
      flops / best * 1e-9, static_cast<double>(trainer.stage().pool().allocated_bytes()) * 1e-6);
}
