// Training speed of one rank: tokens/s, model FLOP/s, memory.
//
//   OMP_NUM_THREADS=2 ./train_step shape=gpt2 batch=4 length=512 steps=5
//   OMP_NUM_THREADS=1 ./train_step shape=quickstart steps=20 precision=bf16 recompute=block
//
// Keys: family (llama, or gpt2: LayerNorm, learned positions, GELU, biases), shape (quickstart:
// 0.92 M parameters, width 128, 4 layers, 4 heads, ffn 384, 257 tokens; gpt2: GPT-2 124M's, width
// 768, 12 layers, 12 heads, 50257 tokens, tied, with ffn 3072 and 1024 positions in the family
// gpt2, where it is the default, and ffn 2048 in llama) and over it width, layers, heads, kv_heads
// (llama), ffn, positions (gpt2), vocab, tied; length, batch, micro_batch, steps, precision (fp32,
// bf16, fp16), recompute (none, attention, block), backend, graphs (1: train.graphs).
// FLOPs: 6 N + 12 layers width length (include/concordat/model/config.hpp). The data are made up;
// the loss only shows that the run is one of training. The last line is for scripts: key=value.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "concordat/comm/communicator.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/observe/memory.hpp"
#include "concordat/train/peak.hpp"
#include "concordat/train/trainer.hpp"

using namespace concordat;

namespace {

class MadeUp final : public train::TrainingData {
 public:
  explicit MadeUp(std::int64_t vocab) : vocab_(static_cast<std::uint64_t>(vocab)) {}
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    std::uint64_t token = index % vocab_;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto draw = exact::random_u32(1, exact::Purpose::synthetic, 0, index * 1000 + i);
      token = draw % 6 == 0 ? draw % vocab_ : (token * 5 + 7) % vocab_;
      tokens[i] = static_cast<std::int32_t>(token);
    }
  }

 private:
  std::uint64_t vocab_;
};

using Keys = std::map<std::string, std::string>;

const Keys quickstart{
    {"family", "llama"}, {"positions", "1024"}, {"width", "128"},      {"layers", "4"},
    {"heads", "4"},      {"kv_heads", "4"},     {"ffn", "384"},        {"vocab", "257"},
    {"tied", "0"},       {"length", "128"},     {"batch", "16"},       {"steps", "20"},
    {"backend", "cpu"},  {"precision", "fp32"}, {"recompute", "none"}, {"graphs", "0"}};
const Keys gpt2{{"width", "768"}, {"layers", "12"},   {"heads", "12"}, {"kv_heads", "12"},
                {"ffn", "2048"},  {"vocab", "50257"}, {"tied", "1"},   {"length", "512"},
                {"batch", "4"},   {"steps", "5"}};

Keys read(int argc, char** argv) {
  Keys given;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto at = arg.find('=');
    const std::string key = arg.substr(0, at);
    if (at == std::string::npos ||
        (!quickstart.contains(key) && key != "shape" && key != "micro_batch")) {
      std::fprintf(stderr, "'%s' is no key=value that this program knows; its source lists them\n",
                   arg.c_str());
      std::exit(64);
    }
    given[key] = arg.substr(at + 1);
  }
  Keys keys = given;
  const bool of_gpt2 = given.contains("family") && given.at("family") == "gpt2";
  if (of_gpt2) keys.insert({{"shape", "gpt2"}});
  if (keys["shape"] == "gpt2") {
    if (of_gpt2) keys.insert({{"ffn", "3072"}});
    keys.insert(gpt2.begin(), gpt2.end());
  }
  keys.insert(quickstart.begin(), quickstart.end());
  keys.insert({"micro_batch", keys.at("batch")});
  return keys;
}

train::TrainSettings settings_of(const Keys& keys) {
  const auto whole = [&](const char* key) { return std::atoi(keys.at(key).c_str()); };
  train::TrainSettings settings;
  const auto family = model::family_named(keys.at("family"));
  const bool learned = model::traits_of(family).learned_positions;
  settings.model = {.family = family,
                    .vocab = whole("vocab"),
                    .width = whole("width"),
                    .layers = whole("layers"),
                    .heads = whole("heads"),
                    .kv_heads = whole(learned ? "heads" : "kv_heads"),
                    .ffn = whole("ffn"),
                    .positions = learned ? whole("positions") : 0,
                    .tied = whole("tied") != 0};
  settings.length = train::GlobalLength(whole("length"));
  settings.batch = whole("batch");
  settings.micro_batch = whole("micro_batch");
  settings.rate = {.peak = 6e-4, .floor = 6e-5, .warmup_steps = 10, .total_steps = 1000};
  settings.compute = train::precision_named(keys.at("precision"));
  settings.recompute = train::recompute_named(keys.at("recompute"));
  settings.graphs = whole("graphs") != 0;
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const Keys keys = read(argc, argv);
  const train::TrainSettings settings = settings_of(keys);
  const int steps = std::max(2, std::atoi(keys.at("steps").c_str()));
  device::Session session(keys.at("backend"));
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  MadeUp data(settings.model.vocab);
  const auto start = observe::process_memory();
  train::Trainer trainer(settings, session.exec(), mesh, data, system_clock());
  std::printf("%s: %s, %lld parameters\n", keys.at("backend").c_str(),
              session.backend().instructions_in_use().c_str(),
              static_cast<long long>(settings.model.num_parameters()));
  std::vector<double> seconds;
  double processor_seconds = 0.0;
  for (int i = 0; i < steps; ++i) {
    const auto before = std::clock();
    const auto report = trainer.step();
    if (i > 0) {  // the first one allocates
      seconds.push_back(report.seconds);
      processor_seconds += static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    }
    if (i % 10 == 0 || i + 1 == steps) {
      std::printf("step %3d  loss %.4f  %8.0f tokens/s  %6.2f GFLOP/s\n", i, report.loss,
                  report.tokens_per_s, report.flops_per_s * 1e-9);
    }
  }
  const auto end = observe::process_memory();
  const double peak = train::product_rate(session.exec(), system_clock(), settings.compute);
  std::sort(seconds.begin(), seconds.end());
  const double best = seconds.front();
  const double median = seconds[seconds.size() / 2];
  const auto tokens = static_cast<double>(settings.tokens_per_step());
  const double flops = tokens * model::flops_per_token(settings.model, settings.length);
  const auto predicted = train::estimate_memory(settings, {}, session.backend());
  const auto held = trainer.memory_in_use();
  std::printf("memory: predicted %.0f MB, held %.0f MB, process grew by %.0f MB at its peak\n",
              static_cast<double>(predicted.total()) * 1e-6,
              static_cast<double>(held.total()) * 1e-6,
              static_cast<double>(end.peak_bytes - start.resident_bytes) * 1e-6);
  std::printf(
      "median_ms=%.1f best_ms=%.1f tokens_per_s=%.1f best_tokens_per_s=%.1f gflops=%.2f "
      "products_gflops=%.1f share=%.3f peak_mb=%.0f tokens_per_cpu_s=%.1f\n",
      median * 1e3, best * 1e3, tokens / median, tokens / best, flops / median * 1e-9, peak * 1e-9,
      flops / median / peak, static_cast<double>(end.peak_bytes) * 1e-6,
      tokens * static_cast<double>(seconds.size()) / processor_seconds);
}
