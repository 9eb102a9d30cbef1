#include "concordat/train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "concordat/train/errors.hpp"
#include "solo.hpp"

namespace concordat::train::test {
namespace {

TEST(Trainer, LossFallsOnTextWithAPattern) {
  TrainSettings settings = tiny_settings();
  settings.rate = {.peak = 3e-2, .floor = 3e-3, .warmup_steps = 5, .total_steps = 60};
  Solo solo(settings, "cpu");
  const double first = solo.trainer.step().loss;
  EXPECT_NEAR(first, std::log(11.0), 1.0);
  StepReport last;
  while (solo.trainer.next_step() < 60) last = solo.trainer.step();
  EXPECT_LT(last.loss, first - 0.7);
  EXPECT_LT(solo.trainer.validate(solo.data).nats_per_token, first - 0.7);
  EXPECT_EQ(last.tokens, 36);
  EXPECT_GT(last.flops_per_s, last.tokens_per_s);
}

TEST(Trainer, SamplesOfAStepAreTheSameWhateverTheLayout) {
  for (const int dp : {1, 2, 3, 4}) {
    std::vector<std::uint64_t> asked;
    std::mutex mutex;
    comm::run_threads(dp, [&](comm::Communicator& comm) {
      device::Session session("reference");
      parallel::ProcessMesh mesh(comm, {.dp = dp});
      MadeUpData data(11);
      Trainer trainer(tiny_settings(), session.exec(), mesh, data, system_clock());
      trainer.step();
      EXPECT_EQ(trainer.data_cursor(), 6U);
      trainer.step();
      const std::lock_guard lock(mutex);
      asked.insert(asked.end(), data.asked().begin(), data.asked().end());
    });
    std::sort(asked.begin(), asked.end());
    EXPECT_EQ(asked, (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})) << dp;
  }
}

TEST(Trainer, AResumedRunEndsWithTheSameBits) {
  for (const std::string& backend : backends()) {
    Solo whole(tiny_settings(), backend);
    for (int i = 0; i < 4; ++i) whole.trainer.step();

    Solo first(tiny_settings(), backend);
    first.trainer.step();
    first.trainer.step();
    const HostState saved = first.state();
    TrainSettings other = tiny_settings();
    other.seed = 99;  // the initial weights do not matter
    Solo second(other, backend);
    second.trainer.write_state(saved, 2);
    EXPECT_EQ(second.trainer.data_cursor(), 12U);
    second.trainer.step();
    second.trainer.step();
    EXPECT_EQ(values(second.state().weights()), values(whole.state().weights())) << backend;
    EXPECT_EQ(values(second.state().v()), values(whole.state().v())) << backend;
  }
}

TEST(Trainer, StepsLeftOutTakeTheirSamplesAlongAndAreNoUpdates) {
  Solo solo;
  solo.trainer.skip_to(5);
  EXPECT_EQ(solo.trainer.data_cursor(), 30U);
  const std::vector<float> before = values(solo.state().weights());
  const StepReport report = solo.trainer.step();
  EXPECT_EQ(report.step, 5);
  EXPECT_EQ(report.rate, tiny_settings().rate.at(5));
  EXPECT_EQ(solo.data.asked().front(), 30U);
  // Adam's first update moves an element by the rate; were its moments taken for six updates old,
  // it would be half of that.
  const std::vector<float> after = values(solo.state().weights());
  double most = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(after[i]) - static_cast<double>(before[i])));
  }
  EXPECT_GT(most, 0.8 * report.rate);
  EXPECT_EQ(solo.trainer.loss_scale().skipped, 5);
}

TEST(Trainer, ReplacedWeightsAreWhatTheNextStepUses) {
  Solo solo;
  solo.trainer.step();
  const Tensor weights = host_tensor(Dtype::f32, {solo.trainer.layout().num_local});
  solo.trainer.read_weights(weights);
  EXPECT_EQ(solo.trainer.space().num_elements(), weights.size());
  Solo fresh;
  fresh.trainer.write_weights(weights);
  EXPECT_EQ(fresh.trainer.validate(fresh.data).nats_per_token,
            solo.trainer.validate(solo.data).nats_per_token);
  for (float& value : weights.span<float>()) value = 0.0F;
  solo.trainer.write_weights(weights);
  // All logits are equal: the loss is the logarithm of the vocabulary.
  EXPECT_NEAR(solo.trainer.validate(solo.data).nats_per_token, std::log(11.0), 1e-6);
}

TEST(Trainer, ANotFiniteLossStopsEveryRankAndChangesNothing) {
  comm::run_threads(2, [](comm::Communicator& comm) {
    device::Session session("reference");
    parallel::ProcessMesh mesh(comm, {.dp = 2});
    MadeUpData data(11);
    Trainer trainer(tiny_settings(), session.exec(), mesh, data, system_clock());
    const Tensor weights = host_tensor(Dtype::f32, {trainer.layout().num_local});
    trainer.read_weights(weights);
    weights.span<float>()[weights.span<float>().size() - 1] =
        std::numeric_limits<float>::quiet_NaN();
    trainer.write_weights(weights);
    EXPECT_EQ(code_of([&] { trainer.step(); }), "train.diverged");
    const Tensor after = host_tensor(Dtype::f32, {trainer.layout().num_local});
    trainer.read_weights(after);
    EXPECT_EQ(std::memcmp(after.raw_bytes(), weights.raw_bytes(), weights.size_bytes()), 0);
    EXPECT_EQ(trainer.next_step(), 0);
  });
}

TEST(Trainer, ValidationCountsBytesAndSeparatorsApart) {
  TrainSettings settings = tiny_settings();
  settings.model.vocab = 300;
  Solo solo(settings);
  const ValidationReport report = solo.trainer.validate(solo.data);
  EXPECT_EQ(report.tokens, 30);
  EXPECT_LT(report.bytes, 30);
  EXPECT_NEAR(report.bits_per_byte * static_cast<double>(report.bytes) * std::log(2.0),
              report.nats_per_token * 30.0, 1e-9);
  MadeUpData nothing(300, 0);
  EXPECT_EQ(code_of([&] { solo.trainer.validate(nothing); }), "train.bad_settings");
}

// Ranks with a window less than others ask as often: a question may be collective.
TEST(Trainer, ValidationAsksOnceForAsManyWindowsAsAStepHasAndEndsWhenTold) {
  for (const int dp : {1, 2, 3}) {
    comm::run_threads(dp, [&](comm::Communicator& comm) {
      device::Session session("reference");
      parallel::ProcessMesh mesh(comm, {.dp = dp});
      MadeUpData data(11, 25);  // steps have 6 samples
      Trainer trainer(tiny_settings(), session.exec(), mesh, data, system_clock());
      int asked = 0;
      const auto never = [&] {
        comm.barrier();
        ++asked;
        return false;
      };
      const auto whole = trainer.validate(data, never);
      ASSERT_TRUE(whole);
      EXPECT_EQ(whole->nats_per_token, trainer.validate(data).nats_per_token);
      EXPECT_EQ(asked, dp == 2 ? 4 : 5) << "dp " << dp;  // 13, 7 and 5 units, by 3, 2 and 1
      int left = 2;
      const auto ended = trainer.validate(data, [&] {
        comm.barrier();
        return left-- == 0;
      });
      EXPECT_FALSE(ended);
      EXPECT_EQ(left, -1) << "not asked again";
      // What was added up until then is forgotten.
      EXPECT_EQ(whole->nats_per_token, trainer.validate(data).nats_per_token);
    });
  }
}

TEST(Trainer, SettingsThatCannotBeHonouredAreRefused) {
  const auto code = [](const auto& change, const parallel::MeshShape& mesh = {}) {
    TrainSettings settings = tiny_settings();
    change(settings);
    return code_of([&] { settings.validate(mesh); });
  };
  EXPECT_EQ(code([](auto&) {}), "none");
  EXPECT_EQ(code([](auto& s) { s.batch = 2; }, {.dp = 3}), "train.bad_settings");
  EXPECT_EQ(code([](auto& s) { s.micro_batch = 0; }), "train.bad_settings");
  EXPECT_EQ(code([](auto& s) { s.rate.floor = 1.0; }), "train.bad_settings");
  EXPECT_EQ(code([](auto& s) { s.schedule = "zigzag"; }), "train.bad_settings");
  const auto interleave = [](auto& s) {
    s.schedule = "interleaved", s.chunks = 2, s.model.layers = 4;
  };
  EXPECT_EQ(code([&](auto& s) { interleave(s), s.micro_batch = 3; }, {.pp = 2}), "none");
  // Three micro-batches over two stages; then two on one replica and one on the other.
  EXPECT_EQ(code(interleave, {.pp = 2}), "train.bad_settings");
  EXPECT_EQ(
      code([&](auto& s) { interleave(s), s.batch = 3, s.micro_batch = 1; }, {.dp = 2, .pp = 2}),
      "train.bad_settings");
  EXPECT_EQ(code([&](auto& s) { interleave(s), s.micro_batch = 3, s.model.layers = 3; }, {.pp = 2}),
            "model.bad_layout");
  EXPECT_EQ(code([](auto& s) { s.compute = Dtype::bf16; }), "none");
  EXPECT_EQ(code([](auto& s) { s.compute = Dtype::f64; }), "train.bad_settings");
  EXPECT_EQ(code([](auto& s) { s.loss_scale.least = 0.0; }), "train.bad_settings");
  EXPECT_EQ(code([](auto& s) { s.model.heads = 3; }), "model.bad_config");
  EXPECT_EQ(code([](auto&) {}, {.tp = 3}), "model.bad_layout");
}

TEST(Trainer, ATokenOutsideTheVocabularyIsRefused) {
  TrainSettings settings = tiny_settings();
  device::Session session("reference");
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  MadeUpData data(12);
  Trainer trainer(settings, session.exec(), mesh, data, system_clock());
  EXPECT_EQ(code_of([&] {
              for (int i = 0; i < 20; ++i) trainer.step();
            }),
            "train.bad_token");
}

TEST(Trainer, BadDataOnOneRankReachesTheOthers) {
  comm::run_threads(2, [](comm::Communicator& comm) {
    device::Session session("reference");
    parallel::ProcessMesh mesh(comm, {.dp = 2});
    MadeUpData data(comm.rank() == 0 ? 11 : 4000);
    Trainer trainer(tiny_settings(), session.exec(), mesh, data, system_clock());
    EXPECT_EQ(code_of([&] { trainer.step(); }),
              comm.rank() == 0 ? "comm.peer_failed" : "train.bad_token");
  });
}

TEST(Trainer, MemoryIsEstimatedFromTheSettings) {
  TrainSettings settings = tiny_settings();
  Solo solo(settings);
  const MemoryEstimate estimate = estimate_memory(settings, {}, solo.session.backend());
  const std::int64_t parameters = solo.trainer.layout().num_local;
  EXPECT_EQ(estimate.weights, 4 * parameters) << "in fp32 the master is the only copy";
  EXPECT_EQ(estimate.optimizer, 8 * parameters);
  solo.trainer.step();
  const auto used = static_cast<double>(solo.trainer.stage().pool().allocated_bytes());
  EXPECT_NEAR(static_cast<double>(estimate.activations) / used, 1.0, 0.5);
  EXPECT_LT(estimate_memory(settings, {.tp = 2}, solo.session.backend()).weights, estimate.weights);
}

}  // namespace
}  // namespace concordat::train::test
