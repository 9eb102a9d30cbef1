// bf16 and fp16: what rounding may do to a gradient, and the dynamic loss scale.
#include <cmath>
#include <limits>

#include "concordat/device/pending.hpp"
#include "solo.hpp"

namespace concordat::train::test {
namespace {

TrainSettings settings_in(Dtype compute) {
  TrainSettings settings = tiny_settings();
  settings.compute = compute;
  return settings;
}

/// The gradient of a trainer's latest step, with the loss scale taken out.
std::vector<double> gradient_of(Solo& solo, double scale) {
  model::ParameterSet& set = solo.trainer.stage().parameters();
  const std::vector<float> scaled =
      device::read_back_all<float>(solo.session.exec(), set.flat_gradient(0, set.num_local()))
          .get();
  std::vector<double> values;
  for (const float each : scaled) values.push_back(double{each} / scale);
  return values;
}

double norm(const std::vector<double>& values) {
  double squares = 0.0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

TEST(Precision, GradientsDifferByTheRoundingOfProductsOperands) {
  // Forward and backward read about 30 operands one behind the other (2 layers of 4 products, the
  // head, their gradients), each rounded by at most u of itself: 2^-9 in bf16, 2^-11 in fp16. Such
  // errors are independent and grow as a root: 6 u; five times that covers what norms and softmax
  // make of them, and is far below the 60 u of errors that all point one way.
  for (const auto& [compute, unit] :
       {std::pair(Dtype::bf16, 1.0 / 512), {Dtype::f16, 1.0 / 2048}}) {
    for (const std::string& backend : backends()) {
      Solo wide(settings_in(Dtype::f32), backend);
      Solo narrow(settings_in(compute), backend);
      const StepReport expected = wide.trainer.step();
      const StepReport found = narrow.trainer.step();
      const auto reference = gradient_of(wide, 1.0);
      const auto rounded = gradient_of(narrow, found.loss_scale);
      std::vector<double> gap(reference.size());
      for (std::size_t i = 0; i < gap.size(); ++i) gap[i] = rounded[i] - reference[i];
      const double error = norm(gap) / norm(reference);
      const std::string what = backend + " " + std::string(name_of(compute));
      EXPECT_LT(error, 30.0 * unit) << what;
      EXPECT_GT(error, 0.1 * unit) << what << ": nothing was rounded";
      EXPECT_NEAR(found.loss / expected.loss, 1.0, 30.0 * unit) << what;
      EXPECT_NEAR(found.gradient_norm / expected.gradient_norm, 1.0, 30.0 * unit) << what;
    }
  }
}

TEST(Precision, LossFallsAsInFp32) {
  for (const Dtype compute : {Dtype::bf16, Dtype::f16}) {
    double last[2] = {};
    for (const bool narrow : {false, true}) {
      TrainSettings settings = settings_in(narrow ? compute : Dtype::f32);
      settings.rate = {.peak = 3e-2, .floor = 3e-3, .warmup_steps = 5, .total_steps = 40};
      Solo solo(settings, "reference");
      const double first = solo.trainer.step().loss;
      for (int i = 1; i < 40; ++i) last[narrow ? 1 : 0] = solo.trainer.step().loss;
      EXPECT_LT(last[narrow ? 1 : 0], first - 0.5);
    }
    EXPECT_NEAR(last[1] / last[0], 1.0, 0.05) << name_of(compute);
  }
}

TEST(LossScale, HalvesOnInfAndDoublesAfterGoodSteps) {
  LossScaler scaler(Dtype::f16,
                    {.initial = 8.0, .greatest = 16.0, .least = 2.0, .growth_interval = 3});
  EXPECT_TRUE(scaler.dynamic());
  scaler.update(true);
  EXPECT_EQ(scaler.state(), (LossScaleState{4.0, 0, 1}));
  scaler.update(false);
  scaler.update(false);
  scaler.update(true);  // good steps must be in a row
  EXPECT_EQ(scaler.state(), (LossScaleState{2.0, 0, 2}));
  EXPECT_FALSE(scaler.can_back_off());
  for (int i = 0; i < 9; ++i) scaler.update(false);
  EXPECT_EQ(scaler.state(), (LossScaleState{16.0, 0, 2}));
  for (int i = 0; i < 5; ++i) scaler.update(false);
  EXPECT_EQ(scaler.state(), (LossScaleState{16.0, 2, 2})) << "no larger than the greatest";
  LossScaler other(Dtype::f16, {});
  other.restore(scaler.state());
  EXPECT_EQ(other.state(), scaler.state());
}

TEST(LossScale, OtherPrecisionsHaveNone) {
  for (const Dtype compute : {Dtype::f32, Dtype::bf16}) {
    LossScaler scaler(compute, {.growth_interval = 1});
    EXPECT_FALSE(scaler.can_back_off());
    scaler.update(false);
    EXPECT_EQ(scaler.scale(), 1.0);
    scaler.restore({.scale = 64.0, .good_steps = 3, .skipped = 2});
    EXPECT_EQ(scaler.state(), (LossScaleState{1.0, 0, 2})) << "updates are still counted right";
  }
}

/// The scale is far too large at first: gradients overflow fp16 (65504) above about 2^21.
TrainSettings overflowing() {
  TrainSettings settings = settings_in(Dtype::f16);
  settings.loss_scale = {.initial = 0x1p26, .greatest = 0x1p26, .growth_interval = 3};
  return settings;
}

TEST(LossScale, AnOverflowSkipsTheStepOnEveryRankAndBacksOff) {
  comm::run_threads(2, [](comm::Communicator& comm) {
    device::Session session("reference");
    parallel::ProcessMesh mesh(comm, {.dp = 2});
    MadeUpData data(11);
    Trainer trainer(overflowing(), session.exec(), mesh, data, system_clock());
    const Tensor before = host_tensor(Dtype::f32, {trainer.layout().num_local});
    const Tensor after = host_tensor(Dtype::f32, {trainer.layout().num_local});
    trainer.read_weights(before);
    StepReport report = trainer.step();
    int skipped = 0;
    for (; report.skipped; report = trainer.step()) {
      trainer.read_weights(after);
      ASSERT_EQ(values(after), values(before)) << "a skipped step changed the weights";
      EXPECT_TRUE(std::isfinite(report.loss));
      EXPECT_FALSE(std::isfinite(report.gradient_norm));
      EXPECT_EQ(report.loss_scale, std::ldexp(1.0, 26 - skipped));
      ASSERT_LT(++skipped, 20);
    }
    EXPECT_GE(skipped, 3);
    EXPECT_EQ(trainer.loss_scale().skipped, skipped);
    EXPECT_EQ(trainer.next_step(), skipped + 1) << "a skipped step is a step";
    EXPECT_TRUE(std::isfinite(report.gradient_norm));
    trainer.read_weights(after);
    EXPECT_NE(values(after), values(before));
    const double scale = trainer.loss_scale().scale;
    trainer.step();
    trainer.step();
    EXPECT_EQ(trainer.loss_scale().scale, 2.0 * scale) << "three good steps";
  });
}

TEST(LossScale, AScaleChangesNoBitOfAStepThatFits) {
  // All scales are powers of two: where nothing overflows or falls below the least number, the
  // update is the same. On a back end that does not multiply in fp16 the gradients stay in f32.
  TrainSettings settings = settings_in(Dtype::f16);
  settings.loss_scale.initial = 1024.0;
  Solo one(settings, "cpu");
  settings.loss_scale.initial = 4096.0;
  Solo other(settings, "cpu");
  const StepReport a = one.trainer.step();
  const StepReport b = other.trainer.step();
  EXPECT_EQ(a.gradient_norm, b.gradient_norm);
  EXPECT_EQ(values(one.state().weights()), values(other.state().weights()));
}

TEST(LossScale, AResumedRunKeepsItAndEndsWithTheSameBits) {
  Solo whole(overflowing());
  for (int i = 0; i < 12; ++i) whole.trainer.step();
  ASSERT_GE(whole.trainer.loss_scale().skipped, 3);
  for (const int at : {2, 9}) {  // while it still backs off, and after some updates
    Solo first(overflowing());
    for (int i = 0; i < at; ++i) first.trainer.step();
    const HostState saved = first.state();
    Solo second(overflowing());
    second.trainer.write_state(saved, at);
    second.trainer.restore_loss_scale(first.trainer.loss_scale());
    for (int i = at; i < 12; ++i) second.trainer.step();
    EXPECT_EQ(second.trainer.loss_scale(), whole.trainer.loss_scale()) << at;
    EXPECT_EQ(values(second.state().weights()), values(whole.state().weights())) << at;
    EXPECT_EQ(values(second.state().v()), values(whole.state().v())) << at;
  }
}

TEST(LossScale, ANotFiniteModelIsNoOverflowAndStopsAtTheLeastScale) {
  TrainSettings settings = settings_in(Dtype::f16);
  settings.loss_scale = {.initial = 4.0, .greatest = 4.0, .least = 1.0};
  Solo solo(settings);
  const Tensor weights = host_tensor(Dtype::f32, {solo.trainer.layout().num_local});
  solo.trainer.read_weights(weights);
  weights.span<float>()[weights.span<float>().size() - 1] = std::numeric_limits<float>::quiet_NaN();
  solo.trainer.write_weights(weights);
  EXPECT_TRUE(solo.trainer.step().skipped);
  EXPECT_TRUE(solo.trainer.step().skipped);
  EXPECT_EQ(solo.trainer.loss_scale().scale, 1.0);
  EXPECT_EQ(code_of([&] { solo.trainer.step(); }), "train.diverged");
}

TEST(Precision, ANotFiniteLossStopsBf16AtOnce) {
  Solo solo(settings_in(Dtype::bf16));
  const Tensor weights = host_tensor(Dtype::f32, {solo.trainer.layout().num_local});
  for (float& value : weights.span<float>()) value = std::numeric_limits<float>::infinity();
  solo.trainer.write_weights(weights);
  EXPECT_EQ(code_of([&] { solo.trainer.step(); }), "train.diverged");
}

TEST(Precision, NamesAreThoseOfTheConfiguration) {
  EXPECT_EQ(precision_named("fp32"), Dtype::f32);
  EXPECT_EQ(precision_named("bf16"), Dtype::bf16);
  EXPECT_EQ(precision_named("fp16"), Dtype::f16);
  EXPECT_EQ(code_of([] { precision_named("fp8"); }), "train.bad_settings");
  EXPECT_EQ(recompute_named("attention"), model::Recompute::attention);
  EXPECT_EQ(code_of([] { recompute_named("all"); }), "train.bad_settings");
}

}  // namespace
}  // namespace concordat::train::test
