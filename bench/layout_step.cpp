// Two settings of one layout against each other, step by step in turn, on real ranks.
//
//   OMP_NUM_THREADS=1 mpirun -n 2 --bind-to none ./layout_step tp=2 sequence_parallel=0,1
//   OMP_NUM_THREADS=1 mpirun -n 2 --bind-to none ./layout_step overlap=0,1
//   OMP_NUM_THREADS=1 mpirun -n 2 --bind-to none ./layout_step tp=2 one_process=1,0 width=768
//       heads=12 ffn=2048 vocab=8192 length=512 batch=4 micro_batch=4 bf16=1
//   OMP_NUM_THREADS=1 mpirun -n 2 --bind-to none ./layout_step tp=2 pin=0,1
//   ./layout_step threads=2 reproducible=0,1 width=128 length=128 batch=16 micro_batch=16
//   ... further: cp= pp= zero=0,1 width=256 heads=8 ffn=768 vocab=257 layers=4 length=256 batch=8
//   micro_batch=2 logical_batch=0 logical_groups=0 bf16=0 pairs=11
//
// Replicas are what tp, cp and pp leave. A key with two values makes the two sides A and B; the
// others are common. A side of one_process=1 is the first rank alone, with as many threads as the
// job has ranks, while the others wait asleep; otherwise each rank has `threads`, on any
// processor, or with pin=1 on its own. Each pair is a
// whole step of A and one of B, the order changing from pair to pair, from a barrier to the end of
// the slowest rank. Printed: medians with quartiles of both, of A / B (above 1: B is faster), and
// what each side holds.
#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "concordat/comm/pinning.hpp"
#include "concordat/comm/runtime.hpp"
#include "concordat/device/pinning.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/train/trainer.hpp"

using namespace concordat;

namespace {

class RandomTokens final : public train::TrainingData {
 public:
  explicit RandomTokens(std::int64_t vocab) : vocab_(static_cast<std::uint64_t>(vocab)) {}
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = static_cast<std::int32_t>(
          exact::random_u64(1, exact::Purpose::synthetic, 0, index * 100'000 + i) % vocab_);
    }
  }

 private:
  std::uint64_t vocab_;
};

using Values = std::map<std::string, std::array<std::int64_t, 2>>;

Values parse(int argc, char** argv) {
  Values values{{"tp", {1, 1}},
                {"cp", {1, 1}},
                {"pp", {1, 1}},
                {"one_process", {0, 0}},
                {"threads", {1, 1}},
                {"pin", {0, 0}},
                {"bf16", {0, 0}},
                {"vocab", {257, 257}},
                {"heads", {0, 0}},
                {"ffn", {0, 0}},
                {"tied", {0, 0}},
                {"width", {256, 256}},
                {"layers", {4, 4}},
                {"length", {256, 256}},
                {"batch", {8, 8}},
                {"micro_batch", {2, 2}},
                {"pairs", {11, 11}},
                {"reproducible", {0, 0}},
                {"logical_batch", {0, 0}},
                {"logical_groups", {0, 0}},
                {"sequence_parallel", {0, 0}},
                {"zero", {0, 0}},
                {"overlap", {0, 0}},
                {"bucket", {1 << 20, 1 << 20}}};
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const auto equal = text.find('=');
    const auto found = values.find(text.substr(0, equal));
    if (equal == std::string::npos || found == values.end()) {
      std::fprintf(stderr, "unknown: %s\n", text.c_str());
      std::exit(64);
    }
    const auto comma = text.find(',');
    found->second[0] = std::stoll(text.substr(equal + 1));
    found->second[1] =
        comma == std::string::npos ? found->second[0] : std::stoll(text.substr(comma + 1));
  }
  return values;
}

train::TrainSettings settings_of(const Values& values, std::size_t side) {
  const auto at = [&](const char* key) { return values.at(key)[side]; };
  train::TrainSettings settings;
  const std::int64_t width = at("width");
  const auto heads = static_cast<int>(at("heads") != 0 ? at("heads") : width / 32);
  settings.model = {.vocab = at("vocab"),
                    .width = width,
                    .layers = static_cast<int>(at("layers")),
                    .heads = heads,
                    .kv_heads = heads,
                    .ffn = at("ffn") != 0 ? at("ffn") : width * 3,
                    .tied = at("tied") != 0};
  settings.compute = at("bf16") != 0 ? Dtype::bf16 : Dtype::f32;
  settings.length = train::GlobalLength(at("length"));
  settings.batch = at("batch");
  settings.micro_batch = at("micro_batch");
  settings.rate = {.peak = 1e-3, .floor = 1e-4, .warmup_steps = 2, .total_steps = 1000};
  settings.sequence_parallel = at("sequence_parallel") != 0;
  settings.zero = static_cast<int>(at("zero"));
  settings.overlap = at("overlap") != 0;
  settings.bucket_elements = at("bucket");
  settings.reproducible = at("reproducible") != 0;
  if (settings.reproducible) {
    settings.logical_batch = at("logical_batch");
    settings.logical_groups = at("logical_groups");
  }
  return settings;
}

std::string quartiles(std::vector<double> values, const char* unit) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  char text[96];
  std::snprintf(text, sizeof text, "%.4g (%.4g to %.4g)%s", at(0.5), at(0.25), at(0.75), unit);
  return text;
}

/// One of the two programs that are compared, on every rank that takes part in it.
struct Side {
  Side(const Values& values, std::size_t side, comm::Communicator& all,
       const std::vector<comm::Placement>& places)
      : comm(all),
        one_process(values.at("one_process")[side] != 0),
        threads(static_cast<int>(values.at("threads")[side])) {
    const auto me = static_cast<std::size_t>(comm.rank());
    processors = values.at("pin")[side] != 0 ? comm::plan_pins(places, comm::PinMode::on).own[me]
                                             : places[me].processors;
    if (one_process && comm.rank() > 0) return;
    if (one_process) alone = comm::self_communicator();
    const auto at = [&](const char* key) {
      return one_process ? 1 : static_cast<int>(values.at(key)[side]);
    };
    const int tp = at("tp");
    const int cp = at("cp");
    const int pp = at("pp");
    const int dp = one_process ? 1 : comm.size() / (tp * cp * pp);
    const train::TrainSettings settings = settings_of(values, side);
    choose_threads();
    session = std::make_unique<device::Session>("cpu");
    mesh = std::make_unique<parallel::ProcessMesh>(
        alone ? *alone : comm, parallel::MeshShape{.dp = dp, .pp = pp, .cp = cp, .tp = tp});
    data = std::make_unique<RandomTokens>(settings.model.vocab);
    trainer =
        std::make_unique<train::Trainer>(settings, session->exec(), *mesh, *data, system_clock());
    trainer->step();
  }

  void choose_threads() const {
    omp_set_num_threads(one_process ? comm.size() : threads);
    device::pin_threads(processors, 1);
  }

  double timed_step() {
    choose_threads();
    comm.barrier();
    const auto begin = std::chrono::steady_clock::now();
    if (trainer) trainer->step();
    double seconds[1] = {
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
    comm::all_reduce_host<double>(comm, seconds, comm::ReduceOp::max);
    return seconds[0];
  }

  comm::Communicator& comm;
  bool one_process;
  int threads;
  std::vector<int> processors;  ///< that this rank's first thread may run on
  std::unique_ptr<comm::Communicator> alone;
  std::unique_ptr<device::Session> session;
  std::unique_ptr<parallel::ProcessMesh> mesh;
  std::unique_ptr<RandomTokens> data;
  std::unique_ptr<train::Trainer> trainer;  // not on ranks that wait
};

int run(comm::Communicator& comm, const Values& values) {
  std::array<std::unique_ptr<Side>, 2> sides;
  const auto places = comm::placement_report(comm, 1).ranks;
  for (std::size_t side : {0U, 1U}) {
    sides[side] = std::make_unique<Side>(values, side, comm, places);
  }
  std::array<std::vector<double>, 2> seconds;
  std::vector<double> ratios;
  for (std::int64_t pair = 0; pair < values.at("pairs")[0]; ++pair) {
    for (std::size_t i : {0U, 1U}) {
      const std::size_t side = (i + static_cast<std::size_t>(pair)) % 2;
      seconds[side].push_back(sides[side]->timed_step());
    }
    ratios.push_back(seconds[0].back() / seconds[1].back());
  }
  if (comm.rank() != 0) return 0;
  std::printf("%d ranks, %s\n", comm.size(),
              sides[0]->session->backend().instructions_in_use().c_str());
  for (const auto& [key, both] : values) {
    if (both[0] != both[1]) {
      std::printf("A: %s=%lld  B: %s=%lld\n", key.c_str(), static_cast<long long>(both[0]),
                  key.c_str(), static_cast<long long>(both[1]));
    }
  }
  for (std::size_t side : {0U, 1U}) {
    const train::MemoryEstimate held = sides[side]->trainer->memory_in_use();
    const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1048576.0; };
    std::printf("%c: %s, step %s, activations %.1f MiB, gradients %.1f MiB, all %.1f MiB\n",
                side == 0 ? 'A' : 'B', sides[side]->mesh->shape().text().c_str(),
                quartiles(seconds[side], " s").c_str(), mib(held.activations), mib(held.gradients),
                mib(held.total()));
  }
  std::printf("A / B: %s\n", quartiles(ratios, "").c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  comm::Runtime runtime = comm::Runtime::start(argc, argv);
  const Values values = parse(argc, argv);
  return runtime.run(
      [&](comm::Communicator& comm) { return run(comm, values); },
      [](const std::exception& error) { std::fprintf(stderr, "%s\n", error.what()); });
}
