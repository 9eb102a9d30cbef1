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
  settings.rate = {.peak = 1e-2, .floor = 1e-3, .warmup_steps = 2, .total_steps = 8};
  return settings;
}

/// The logical tensors of one group ("weights/", "adamw_m/", ...), gathered from all ranks.
using ByName = std::map<std::string, std::vector<float>>;

inline void gather(const HostState& state, const parallel::ProcessMesh& mesh, ByName& into) {
  for (const StateTensor& part : state.tensors()) {
    if (part.local.empty()) continue;
    auto& logical = into[part.name];
    logical.resize(static_cast<std::size_t>(num_elements(part.spec.shape)));
    const parallel::CanonicalSpace::Entry alone{
        .name = part.spec.name, .shape = part.spec.shape, .count = num_elements(part.spec.shape)};
    const auto local = part.local.span<float>();
    for (const auto& run : parallel::segments(part.spec, alone, mesh.shape(), mesh.coords())) {
      for (std::int64_t i = 0; i < run.count * run.run; ++i) {
        const std::int64_t row = i / run.run;
        const std::int64_t column = i % run.run;
        logical[static_cast<std::size_t>(run.begin + row * run.stride + column)] =
            local[static_cast<std::size_t>(run.local_begin + row * run.local_stride + column)];
      }
    }
  }
}

struct Outcome {
  std::vector<StepReport> reports;
  ValidationReport validation;
  ByName state;
};

/// Trains on a mesh of threads and gathers what all ranks hold in the end.
inline Outcome train(const std::string& backend, const parallel::MeshShape& shape,
                     const TrainSettings& settings, int steps) {
  Outcome outcome;
  std::mutex mutex;
  comm::run_threads(shape.size(), [&](comm::Communicator& comm) {
    device::Session session(backend);
    parallel::ProcessMesh mesh(comm, shape);
    MadeUpData data(settings.model.vocab);
    Trainer trainer(settings, session.exec(), mesh, data, system_clock());
    std::vector<StepReport> reports;
    trainer.on_step([&](const StepReport& report) { reports.push_back(report); });
    for (int i = 0; i < steps; ++i) trainer.step();
    const ValidationReport validation = trainer.validate(data);
    HostState state = trainer.make_state();
    trainer.read_state(state);
    const std::lock_guard lock(mutex);
    gather(state, mesh, outcome.state);
    outcome.reports = reports;
    outcome.validation = validation;
  });
  return outcome;
}

inline float largest(const std::vector<float>& values) {
  float most = 0.0F;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

}  // namespace concordat::train::test
