// Pipeline steps on real ranks against the simulator: how much of the predicted speed is there.
//
//   OMP_NUM_THREADS=1 mpirun -n 2 --bind-to none ./pipeline_bubble [schedule=1f1b] [chunks=1]
//       [steps=21] [micro_batches=8] [backend=cpu]
//
// pp = number of ranks, a batch of 8 sequences of 256 in 8 micro-batches, llama of width 256 with
// four layers (or two a part, where that is more). A step is forward and backward of the whole
// batch, from a barrier to the end of the slowest rank; no optimizer. Each F, B, W and send is
// timed where it runs, waiting in receives is not. The simulator then predicts the step twice: from
// that step's own call times, which leaves messages and the executor, and from the medians of each
// stage's F, B, W and send over all steps, which leaves the unevenness of the machine too. Printed
// are medians with quartiles of predicted / measured: 1 is all of the predicted speed.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>

#include "concordat/comm/runtime.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/train/executor.hpp"
#include "concordat/train/schedule_check.hpp"
#include "concordat/train/trainer.hpp"

using namespace concordat;
using train::Call;
using train::CallKind;
using train::Chunk;
using train::Way;

namespace {

using CallTimes = std::map<Call, double>;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class NoData final : public train::TrainingData {
 public:
  void sample(std::uint64_t, std::span<std::int32_t>) override {}
};

/// Times the calls of another work. A send belongs to the call before it.
class TimedWork final : public train::PipelineWork {
 public:
  TimedWork(train::PipelineWork& work, CallTimes& times) : work_(work), times_(times) {}
  Tensor forward(MicroBatch m, Chunk chunk, const Tensor& x) override {
    return timed({CallKind::forward, m, chunk}, [&] { return work_.forward(m, chunk, x); });
  }
  Tensor backward_input(MicroBatch m, Chunk chunk, const Tensor& grad_y) override {
    return timed({CallKind::backward_input, m, chunk},
                 [&] { return work_.backward_input(m, chunk, grad_y); });
  }
  void backward_weight(MicroBatch m, Chunk chunk, bool last) override {
    timed({CallKind::backward_weight, m, chunk},
          [&] { return work_.backward_weight(m, chunk, last), 0; });
  }
  void send(const Tensor& tensor, Stage to, Way way) override {
    const auto kind = way == Way::forward ? CallKind::send_forward : CallKind::send_backward;
    timed({kind, before_.micro_batch, before_.chunk},
          [&] { return work_.send(tensor, to, way), 0; });
  }
  Tensor receive(MicroBatch m, Stage from, Way way) override { return work_.receive(m, from, way); }

 private:
  template <typename Do>
  std::invoke_result_t<Do> timed(const Call& call, Do&& run) {
    const double begin = now();
    auto made = run();
    times_[call] = now() - begin;
    before_ = call;
    return made;
  }
  train::PipelineWork& work_;
  CallTimes& times_;
  Call before_{};
};

/// Every rank's times at all ranks, by stage.
std::vector<CallTimes> exchanged(comm::Communicator& comm, const CallTimes& mine) {
  struct Line {
    int kind, micro_batch, chunk, padding;
    double seconds;
  };
  Bytes bytes;
  for (const auto& [call, seconds] : mine) {
    const Line line{static_cast<int>(call.kind), call.micro_batch.value(), call.chunk.value(), 0,
                    seconds};
    const auto* raw = reinterpret_cast<const Bytes::value_type*>(&line);
    bytes.insert(bytes.end(), raw, raw + sizeof line);
  }
  std::vector<CallTimes> all;
  for (const Bytes& one : comm.all_gather_bytes(bytes)) {
    CallTimes& times = all.emplace_back();
    for (std::size_t at = 0; at < one.size(); at += sizeof(Line)) {
      Line line{};
      std::memcpy(&line, one.data() + at, sizeof line);
      times[{static_cast<CallKind>(line.kind), MicroBatch(line.micro_batch), Chunk(line.chunk)}] =
          line.seconds;
    }
  }
  return all;
}

double predicted(const train::Schedule& schedule, const std::vector<CallTimes>& times) {
  return train::check(schedule,
                      [&](Stage stage, const Call& call) {
                        const auto& of = times[static_cast<std::size_t>(stage.value())];
                        const auto at = of.find(call);
                        return at == of.end() ? 0.0 : at->second;  // receives
                      })
      .duration;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

/// Each (stage, kind, chunk) at its median over steps and micro-batches.
std::vector<CallTimes> medians(const std::vector<std::vector<CallTimes>>& steps) {
  std::vector<CallTimes> result(steps.front().size());
  for (std::size_t stage = 0; stage < result.size(); ++stage) {
    std::map<std::pair<CallKind, Chunk>, std::vector<double>> seen;
    for (const auto& step : steps) {
      for (const auto& [call, seconds] : step[stage]) {
        seen[{call.kind, call.chunk}].push_back(seconds);
      }
    }
    for (const auto& [call, seconds] : steps.front()[stage]) {
      result[stage][call] = quantile(seen.at({call.kind, call.chunk}), 0.5);
    }
  }
  return result;
}

void print_ratios(const char* from, const std::vector<double>& ratios) {
  std::printf("predicted / measured, %s: median %.3f, quartiles %.3f to %.3f\n", from,
              quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75));
}

int run(comm::Communicator& comm, int argc, char** argv) {
  const auto number = [&](int at, int fallback) {
    return argc > at ? std::atoi(argv[at]) : fallback;
  };
  train::TrainSettings settings;
  settings.schedule = argc > 1 ? argv[1] : "1f1b";
  settings.chunks = number(2, 1);
  const int steps = number(3, 21);
  const int micro_batches = number(4, 8);
  settings.model = {.vocab = 257,
                    .width = 256,
                    .layers = std::max(4, 2 * comm.size() * settings.chunks),
                    .heads = 4,
                    .kv_heads = 4,
                    .ffn = 768};
  settings.length = train::GlobalLength(256);
  settings.batch = micro_batches;
  settings.micro_batch = 1;
  device::Session session(argc > 5 ? argv[5] : "cpu");
  parallel::ProcessMesh mesh(comm, {.pp = comm.size()});
  NoData nothing;
  train::Trainer trainer(settings, session.exec(), mesh, nothing, system_clock());
  model::Stage& stage = trainer.stage();
  stage.parameters().on_bucket_ready({});
  train::MicroBatches batches(session.exec(), {.sequences = settings.batch,
                                               .per_micro_batch = 1,
                                               .length = settings.length,
                                               .vocab = settings.model.vocab});
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(settings.length.value()) + 1);
  for (int m = 0; m < batches.count(); ++m) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = static_cast<std::int32_t>(
          exact::random_u32(1, exact::Purpose::synthetic, static_cast<std::uint32_t>(m), i) % 256);
    }
    batches.fill(session.exec(), m, tokens);
  }
  const train::Schedule schedule =
      train::schedule_named(settings.schedule, comm.size(), batches.count(), settings.chunks);
  const auto work = train::model_work(stage, {batches.all()}, mesh, session.exec());

  std::vector<std::vector<CallTimes>> all;
  std::vector<double> measured;
  constexpr int warm_up = 3;
  for (int step = -warm_up; step < steps; ++step) {
    CallTimes times;
    TimedWork timed(*work, times);
    stage.open_step(1.0 / static_cast<double>(settings.tokens_per_step()));
    comm.barrier();
    const double begin = now();
    train::execute(schedule, Stage(comm.rank()), timed);
    double seconds = now() - begin;
    comm::all_reduce_host<double>(comm, std::span(&seconds, 1), comm::ReduceOp::max);
    auto exchange = exchanged(comm, times);
    if (step < 0) continue;
    measured.push_back(seconds);
    all.push_back(std::move(exchange));
  }
  if (comm.rank() != 0) return 0;
  std::vector<double> own, typical;
  const auto median_times = medians(all);
  const double median_prediction = predicted(schedule, median_times);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    own.push_back(predicted(schedule, all[i]) / measured[i]);
    typical.push_back(median_prediction / measured[i]);
  }
  std::printf("%s, %d ranks, %d micro-batches, %d chunks, %s: %s\n", settings.schedule.c_str(),
              comm.size(), batches.count(), settings.chunks, argc > 5 ? argv[5] : "cpu",
              session.backend().instructions_in_use().c_str());
  for (std::size_t s = 0; s < median_times.size(); ++s) {
    std::array<double, 7> sum{};
    for (const auto& [call, seconds] : median_times[s]) {
      sum[static_cast<std::size_t>(call.kind)] += seconds * 1e3 / batches.count();
    }
    std::printf("stage %zu: F %.2f, B %.2f, W %.2f, sends %.3f ms a micro-batch\n", s, sum[0],
                sum[1], sum[2], sum[3] + sum[5]);
  }
  std::printf("step: measured %.1f ms (quartiles %.1f to %.1f), predicted from medians %.1f ms\n",
              quantile(measured, 0.5) * 1e3, quantile(measured, 0.25) * 1e3,
              quantile(measured, 0.75) * 1e3, median_prediction * 1e3);
  print_ratios("each step's own call times", own);
  print_ratios("median call times", typical);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto runtime = comm::Runtime::start(argc, argv);
  return runtime.run([&](comm::Communicator& comm) { return run(comm, argc, argv); },
                     [](const std::exception& error) {
                       std::fprintf(stderr, "pipeline_bubble: %s\n", error.what());
                     });
}
