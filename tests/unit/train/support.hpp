// What the trainer's tests share: made-up data, and training runs on any mesh of threads.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <mutex>

#include "concordat/comm/threads.hpp"
#include "concordat/exact/philox.hpp"
#include "concordat/train/trainer.hpp"

namespace concordat::train::test {

inline std::vector<std::string> backends() { return {"reference", "cpu", "strict"}; }

/// Made-up text with something to learn: mostly each token follows the one before by a fixed step.
class MadeUpData final : public TrainingData, public ValidationData {
 public:
  explicit MadeUpData(std::int64_t vocab, std::uint64_t windows = 5)
      : vocab_(static_cast<std::uint64_t>(vocab)), windows_(windows) {}
  void sample(std::uint64_t global_index, std::span<std::int32_t> tokens) override {
    asked_.push_back(global_index);
    make(1, global_index, tokens);
  }
  std::uint64_t num_windows() const override { return windows_; }
  void window(std::uint64_t index, std::span<std::int32_t> tokens) override {
    make(2, index, tokens);
  }
  const std::vector<std::uint64_t>& asked() const { return asked_; }

 private:
  void make(std::uint32_t stream, std::uint64_t index, std::span<std::int32_t> tokens) const {
    std::uint64_t token = index;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto draw = exact::random_u64(5, exact::Purpose::synthetic, stream, index * 1000 + i);
      token = draw % 8 == 0 ? (draw >> 8U) : token + 3;
      token %= vocab_;
      tokens[i] = static_cast<std::int32_t>(token);
    }
  }
  std::uint64_t vocab_;
  std::uint64_t windows_;
  std::vector<std::uint64_t> asked_;
};

/// Every family on every back end.
struct Case {
  std::string backend;
  model::Family family;
};
inline std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& backend : backends()) {
    for (const auto family : {model::Family::llama, model::Family::gpt2}) {
      all.push_back({backend, family});
    }
  }
  return all;
}
inline std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.backend + "_" + std::string(name_of(info.param.family));
}

/// A bias of the keys moves all scores of a row alike, which softmax does not see: its gradient is
/// rounding noise, and AdamW makes steps of a full rate of it.
inline bool is_noise(std::string_view name) { return name.ends_with("attn.k_proj.bias"); }

inline TrainSettings tiny_settings() {
  TrainSettings settings;
  settings.model = {.vocab = 11,
                    .width = 8,
                    .layers = 2,
                    .heads = 4,
                    .kv_heads = 2,
                    .ffn = 12,
                    .init_stddev = 0.2F};
  settings.length = GlobalLength(6);
  settings.batch = 6;
  settings.micro_batch = 2;
  settings.norm_block = 8;  // cuts inside tensors, although these are tiny
  settings.rate = {.peak = 1e-2, .floor = 1e-3, .warmup_steps = 2, .total_steps = 8};
  return settings;
}

inline TrainSettings tiny_gpt2() {
  TrainSettings settings = tiny_settings();
  settings.model.family = model::Family::gpt2;
  settings.model.kv_heads = settings.model.heads;
  settings.model.positions = 7;
  settings.model.tied = true;
  return settings;
}

/// The logical tensors of one group ("weights/", "adamw_m/", ...), gathered from all ranks.
using ByName = std::map<std::string, std::vector<float>>;

inline void gather(const HostState& state, const parallel::ProcessMesh& mesh, ByName& into) {
  for (const StateTensor& part : state.tensors()) {
    if (part.local.empty()) continue;
    auto& logical = into[part.name];
    logical.resize(static_cast<std::size_t>(num_elements(part.spec.shape)));
    const auto values = part.local.span<float>();
    parallel::each_run(part.spec, mesh.shape(), mesh.coords(),
                       [&](std::int64_t first, std::int64_t local, std::int64_t run) {
                         std::copy_n(values.begin() + local, run, logical.begin() + first);
                       });
  }
}

struct Outcome {
  std::vector<StepReport> reports;
  ValidationReport validation;
  ByName first_state;  ///< after the first step
  ByName state;        ///< in the end
};

/// Trains as one rank of a mesh, and gathers what it holds `into` what the others gather.
inline void train_on(comm::Communicator& comm, const std::string& backend,
                     const parallel::MeshShape& shape, const TrainSettings& settings, int steps,
                     Outcome& into, std::mutex& mutex) {
  device::Session session(backend, {.local_rank = comm.rank()});
  const auto ranks = session.backend().communicator(comm);
  parallel::ProcessMesh mesh(ranks ? *ranks : comm, shape);
  MadeUpData data(settings.model.vocab);
  Trainer trainer(settings, session.exec(), mesh, data, system_clock());
  std::vector<StepReport> reports;
  trainer.on_step([&](const StepReport& report) { reports.push_back(report); });
  HostState first = trainer.make_state();
  for (int i = 0; i < steps; ++i) {
    trainer.step();
    if (i == 0) trainer.read_state(first);
  }
  const ValidationReport validation = trainer.validate(data);
  HostState state = trainer.make_state();
  trainer.read_state(state);
  const std::lock_guard lock(mutex);
  gather(first, mesh, into.first_state);
  gather(state, mesh, into.state);
  into.reports = reports;
  into.validation = validation;
}

/// Trains on a mesh of threads and gathers what all ranks hold.
inline Outcome train(const std::string& backend, const parallel::MeshShape& shape,
                     const TrainSettings& settings, int steps) {
  Outcome outcome;
  std::mutex mutex;
  comm::run_threads(shape.size(), [&](comm::Communicator& comm) {
    train_on(comm, backend, shape, settings, steps, outcome, mutex);
  });
  return outcome;
}

inline float largest(const std::vector<float>& values) {
  float most = 0.0F;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

/// Three steps on one rank as `alone` says and on a mesh as `settings` says. After the first: loss,
/// gradient norm (to a relative `norm_tolerance`), and every gradient, which the first moment is a
/// multiple of. The same sums in another order and grouping differ by a few ulp of the largest
/// element. Then by the losses: the weights were updated alike.
inline void expect_one_rank(const std::string& backend, const TrainSettings& alone,
                            const parallel::MeshShape& shape, const TrainSettings& settings,
                            double norm_tolerance) {
  const Outcome one = train(backend, {}, alone, 3);
  const Outcome found = train(backend, shape, settings, 3);
  EXPECT_NEAR(found.reports[0].loss, one.reports[0].loss, 1e-6);
  EXPECT_NEAR(found.reports[0].gradient_norm, one.reports[0].gradient_norm,
              norm_tolerance * one.reports[0].gradient_norm);
  ASSERT_EQ(found.first_state.size(), one.first_state.size());
  for (const auto& [name, values] : one.first_state) {
    if (!name.starts_with("adamw_m/")) continue;
    const auto& others = found.first_state.at(name);
    ASSERT_EQ(others.size(), values.size()) << name;
    const float most = largest(values);
    EXPECT_TRUE(most > 0.0F || is_noise(name)) << name;
    const float bound = is_noise(name) ? 1e-7F : 1e-5F * most;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(others[i], values[i], bound) << name << " [" << i << "]";
    }
  }
  for (std::size_t step = 0; step < 3; ++step) {
    EXPECT_NEAR(found.reports[step].loss, one.reports[step].loss, 2e-5) << step;
  }
  EXPECT_NEAR(found.validation.nats_per_token, one.validation.nats_per_token, 2e-5);
  EXPECT_EQ(found.validation.bytes, one.validation.bytes);
}

}  // namespace concordat::train::test
