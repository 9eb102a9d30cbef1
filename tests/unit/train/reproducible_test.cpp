// Reproducible mode: exact equality of losses, norms, weights and moments over what it promises,
// with clipping at work. Rank counts: 1, 2, 4, 8.
#include "solo.hpp"

namespace concordat::train::test {
namespace {

/// Eight sequences a step in logical micro-batches of one; a norm that is clipped in every step.
TrainSettings reproducible_settings() {
  TrainSettings settings = tiny_settings();
  settings.model.layers = 4;
  settings.model.width = 16;
  settings.model.ffn = 24;
  settings.model.init_stddev = 0.3F;
  settings.batch = 8;
  settings.micro_batch = 8;
  settings.clip_norm = 0.05F;
  settings.bucket_elements = 400;
  settings.reproducible = true;
  settings.logical_batch = 1;
  return settings;
}

constexpr int kSteps = 3;

void expect_same_bits(const Outcome& found, const Outcome& expected) {
  ASSERT_EQ(found.reports.size(), expected.reports.size());
  for (std::size_t i = 0; i < found.reports.size(); ++i) {
    EXPECT_EQ(found.reports[i].loss, expected.reports[i].loss) << "step " << i;
    EXPECT_EQ(found.reports[i].gradient_norm, expected.reports[i].gradient_norm) << "step " << i;
  }
  EXPECT_EQ(found.validation.nats_per_token, expected.validation.nats_per_token);
  EXPECT_EQ(found.state, expected.state);
}

bool same_bits(const Outcome& a, const Outcome& b) {
  return a.reports.back().loss == b.reports.back().loss &&
         a.reports.back().gradient_norm == b.reports.back().gradient_norm && a.state == b.state;
}

/// One layout and one way to run it.
struct Variant {
  parallel::MeshShape mesh{};
  std::string schedule = "1f1b";
  int chunks = 1;
  std::int64_t micro_batch = 8;
  int zero = 0;
  bool overlap = true;
  model::Recompute recompute = model::Recompute::none;
};

Outcome run(const std::string& backend, TrainSettings settings, const Variant& variant) {
  settings.schedule = variant.schedule;
  settings.chunks = variant.chunks;
  settings.micro_batch = variant.micro_batch;
  settings.zero = variant.zero;
  settings.overlap = variant.overlap;
  settings.recompute = variant.recompute;
  return train(backend, variant.mesh, settings, kSteps);
}

void expect_all_the_same(const std::string& backend, const TrainSettings& settings,
                         const Variant& first, const std::vector<Variant>& others) {
  const Outcome expected = run(backend, settings, first);
  for (const StepReport& report : expected.reports) {
    EXPECT_GT(report.gradient_norm, 2 * settings.clip_norm) << "nothing is clipped";
  }
  for (const Variant& other : others) {
    SCOPED_TRACE(backend + " " + other.mesh.text() + " " + other.schedule + " micro_batch=" +
                 std::to_string(other.micro_batch) + " zero=" + std::to_string(other.zero) +
                 " overlap=" + std::to_string(other.overlap));
    expect_same_bits(run(backend, settings, other), expected);
  }
}

/// dp, pp, schedules, micro-batches, ZeRO-1, overlap and recompute, crossed where it matters.
const std::vector<Variant>& variants() {
  static const std::vector<Variant> all{
      {.micro_batch = 1},
      {.micro_batch = 2},
      {.micro_batch = 3},  // the last one is shorter
      {.mesh = {.dp = 2}, .micro_batch = 4},
      {.mesh = {.dp = 2}, .micro_batch = 1, .zero = 1, .overlap = false},
      {.mesh = {.dp = 4}, .micro_batch = 2, .zero = 1},
      {.mesh = {.dp = 4}, .micro_batch = 1, .overlap = false},
      {.mesh = {.pp = 2}, .schedule = "gpipe", .micro_batch = 2},
      {.mesh = {.pp = 2}, .schedule = "1f1b", .micro_batch = 1},
      {.mesh = {.pp = 2}, .schedule = "zb-h1", .micro_batch = 2},
      {.mesh = {.pp = 2}, .schedule = "interleaved", .chunks = 2, .micro_batch = 2},
      {.mesh = {.dp = 2, .pp = 2}, .schedule = "zb-h1", .micro_batch = 1, .zero = 1},
      {.mesh = {.dp = 2, .pp = 2}, .schedule = "interleaved", .chunks = 2, .micro_batch = 2},
      {.mesh = {.dp = 4, .pp = 2}, .schedule = "gpipe", .micro_batch = 1, .zero = 1},
      {.micro_batch = 4, .recompute = model::Recompute::block},
  };
  return all;
}

class ReproducibleTest : public testing::TestWithParam<std::string> {};

TEST_P(ReproducibleTest, EveryLayoutAndScheduleGivesTheSameBits) {
  expect_all_the_same(GetParam(), reproducible_settings(), {}, variants());
}

TEST_P(ReproducibleTest, ATiedTableGivesTheSameBitsOnOneStageAndOnTwo) {
  TrainSettings settings = reproducible_settings();
  settings.model.tied = true;
  expect_all_the_same(GetParam(), settings, {}, variants());
}

TEST_P(ReproducibleTest, SixteenBitProductsGiveTheSameBits) {
  for (const Dtype compute : {Dtype::bf16, Dtype::f16}) {
    TrainSettings settings = reproducible_settings();
    settings.compute = compute;
    expect_all_the_same(GetParam(), settings, {}, variants());
  }
}

INSTANTIATE_TEST_SUITE_P(BackEnds, ReproducibleTest, testing::Values("reference", "cpu"),
                         [](const auto& back_end) { return back_end.param; });

TEST(Reproducible, Gpt2GivesTheSameBits) {
  // Learned positions, LayerNorm, biases and a tied table.
  TrainSettings settings = tiny_gpt2();
  settings.model.layers = 4;
  settings.batch = 8;
  settings.clip_norm = 0.05F;
  settings.bucket_elements = 300;
  settings.reproducible = true;
  settings.logical_batch = 1;
  expect_all_the_same("cpu", settings, {}, variants());
}

TEST(Reproducible, TheStrictBackEndGivesTheSameBits) {
  expect_all_the_same("strict", reproducible_settings(), {},
                      {{.mesh = {.dp = 2}, .micro_batch = 2, .zero = 1},
                       {.mesh = {.dp = 2, .pp = 2}, .schedule = "zb-h1", .micro_batch = 2}});
}

TEST(Reproducible, WithoutItLayoutsDiffer) {
  // What the promise is about, so that the tests above can fail: each of these changes bits.
  TrainSettings settings = reproducible_settings();
  settings.reproducible = false;
  settings.logical_batch = 0;
  const Outcome plain = run("cpu", settings, {});
  EXPECT_FALSE(same_bits(run("cpu", settings, {.micro_batch = 1}), plain));
  EXPECT_FALSE(same_bits(run("cpu", settings, {.mesh = {.dp = 2}}), plain));
  const Outcome by_two = run("cpu", settings, {.micro_batch = 2});
  EXPECT_FALSE(same_bits(run("cpu", settings, {.mesh = {.dp = 2}, .micro_batch = 2}), by_two));
}

TEST(Reproducible, OtherGroupsAndLogicalMicroBatchesAreOtherSums) {
  TrainSettings settings = reproducible_settings();
  settings.logical_groups = 2;  // four in order, where eight groups add pairs
  const Outcome two = run("cpu", settings, {});
  settings.logical_groups = 8;
  const Outcome eight = run("cpu", settings, {});
  EXPECT_FALSE(same_bits(eight, two));
  expect_same_bits(run("cpu", settings, {.mesh = {.dp = 8}, .micro_batch = 1, .zero = 1}), eight);
  settings.logical_groups = 0;
  settings.logical_batch = 2;
  const Outcome pairs = run("cpu", settings, {});
  EXPECT_FALSE(same_bits(pairs, eight));
  expect_same_bits(run("cpu", settings, {.mesh = {.dp = 4}, .micro_batch = 2}), pairs);
  expect_same_bits(
      run("cpu", settings, {.mesh = {.dp = 2, .pp = 2}, .schedule = "zb-h1", .micro_batch = 4}),
      pairs);
}

TEST(Reproducible, TheUnitIsChosenFromLengthBatchAndGroupsAlone) {
  const auto chosen = [](std::int64_t batch, std::int64_t length, std::int64_t groups = 0) {
    TrainSettings settings;
    settings.batch = batch;
    settings.length = GlobalLength(length);
    settings.logical_groups = groups;
    const std::int64_t unit = logical_unit(settings);
    settings.micro_batch = 1;  // would be refused, but not followed
    EXPECT_EQ(logical_unit(settings), unit);
    return unit;
  };
  EXPECT_EQ(chosen(16, 128), 4);
  EXPECT_EQ(chosen(16, 129), 2);
  EXPECT_EQ(chosen(16, 512), 1);
  EXPECT_EQ(chosen(16, 4096), 1);
  EXPECT_EQ(chosen(8, 128), 2);  // four groups of two
  EXPECT_EQ(chosen(64, 6), 16);
  EXPECT_EQ(chosen(12, 6), 1);  // four groups of three
  EXPECT_EQ(chosen(7, 6), 1);
  EXPECT_EQ(chosen(64, 6, 8), 8);
  EXPECT_EQ(chosen(64, 6, 1), 64);
  EXPECT_EQ(chosen(8, 6, 3), 1);

  TrainSettings settings = reproducible_settings();
  settings.logical_batch = 2;
  const Outcome asked = run("cpu", settings, {});
  settings.logical_batch = 0;
  expect_same_bits(run("cpu", settings, {}), asked);
  expect_same_bits(run("cpu", settings, {.mesh = {.dp = 4}, .micro_batch = 2, .zero = 1}), asked);
  expect_same_bits(
      run("cpu", settings, {.mesh = {.dp = 2, .pp = 2}, .schedule = "gpipe", .micro_batch = 2}),
      asked);
}

TEST(Reproducible, GroupsThatAreNoPowerOfTwoKeepTheBitsWhereBranchesAllowIt) {
  TrainSettings settings = reproducible_settings();
  settings.batch = 12;
  settings.logical_groups = 6;
  expect_all_the_same("cpu", settings, {},
                      {{.mesh = {.dp = 3}, .micro_batch = 2},
                       {.mesh = {.dp = 6}, .micro_batch = 1, .zero = 1},
                       {.mesh = {.dp = 3, .pp = 2}, .schedule = "zb-h1", .micro_batch = 2}});
}

TEST(Reproducible, AtOneTpAndCpTheOtherAxesChangeNoBit) {
  TrainSettings settings = reproducible_settings();
  settings.model.tied = true;
  expect_all_the_same("cpu", settings, {.mesh = {.cp = 2}},
                      {{.mesh = {.dp = 2, .cp = 2}, .micro_batch = 2, .zero = 1},
                       {.mesh = {.dp = 4, .cp = 2}, .micro_batch = 1},
                       {.mesh = {.pp = 2, .cp = 2}, .schedule = "zb-h1", .micro_batch = 2}});
  expect_all_the_same("cpu", settings, {.mesh = {.cp = 3}},
                      {{.mesh = {.dp = 2, .cp = 3}, .micro_batch = 2, .zero = 1}});
  // Four tensor ranks share two key-value heads by pairs; norms are summed over tp.
  settings.sequence_parallel = true;
  settings.length = GlobalLength(8);
  expect_all_the_same("cpu", settings, {.mesh = {.tp = 4}},
                      {{.mesh = {.dp = 2, .tp = 4}, .micro_batch = 2, .zero = 1},
                       {.mesh = {.dp = 2, .tp = 4}, .micro_batch = 1, .overlap = false},
                       {.mesh = {.pp = 2, .tp = 4}, .schedule = "zb-h1", .micro_batch = 2}});
}

TEST(Reproducible, OverTpAndCpTheErrorIsThatOfSumsInAnotherOrder) {
  // docs/running.md: a product's element moves by at most 2 K u / (1 - K u) of the sum of its
  // terms' magnitudes, K terms, u = 2^-24. Here K is at most 48 (rows of a weight gradient), so a
  // few 1e-6 of the largest gradient after four layers.
  for (const parallel::MeshShape& mesh : {parallel::MeshShape{.tp = 2}, {.cp = 2}, {.tp = 4}}) {
    TrainSettings settings = reproducible_settings();
    expect_one_rank("cpu", settings, mesh, settings, 3e-6);
  }
}

TEST(Reproducible, AStateGoesOnInAnotherLayoutWithTheBitsOfTheUndisturbedRun) {
  TrainSettings settings = reproducible_settings();
  settings.model.tied = true;
  const Outcome undisturbed = train("cpu", {}, settings, kSteps);
  TrainSettings moved = settings;
  moved.micro_batch = 2;
  moved.zero = 1;
  const Outcome before = train("cpu", {.dp = 4}, moved, kSteps - 1);
  moved.schedule = "zb-h1";
  Outcome after;
  std::mutex mutex;
  comm::run_threads(4, [&](comm::Communicator& comm) {
    device::Session session("cpu");
    parallel::ProcessMesh mesh(comm, {.dp = 2, .pp = 2});
    MadeUpData data(settings.model.vocab);
    Trainer trainer(moved, session.exec(), mesh, data, system_clock());
    HostState state = trainer.make_state();
    for (const StateTensor& part : state.tensors()) {
      if (part.local.empty()) continue;
      const auto& logical = before.state.at(part.name);
      const auto values = part.local.span<float>();
      parallel::each_run(part.spec, mesh.shape(), mesh.coords(),
                         [&](std::int64_t first, std::int64_t local, std::int64_t run) {
                           std::copy_n(logical.begin() + first, run, values.begin() + local);
                         });
    }
    trainer.write_state(state, kSteps - 1);
    const StepReport report = trainer.step();
    trainer.read_state(state);
    const std::lock_guard lock(mutex);
    gather(state, mesh, after.state);
    after.reports = {report};
  });
  EXPECT_EQ(after.reports[0].loss, undisturbed.reports.back().loss);
  EXPECT_EQ(after.reports[0].gradient_norm, undisturbed.reports.back().gradient_norm);
  EXPECT_EQ(after.state, undisturbed.state);
}

TEST(Reproducible, GroupsOfOneRankHoldTheBuffersOfTheirTree) {
  TrainSettings settings = reproducible_settings();
  settings.model.tied = true;
  const std::int64_t parameters = settings.model.num_parameters();
  const std::int64_t table = settings.model.vocab * settings.model.width;
  const auto gradients = [&](std::int64_t groups) {
    settings.logical_groups = groups;
    Solo solo(settings, "cpu");
    solo.trainer.step();
    const std::int64_t held = solo.trainer.memory_in_use().gradients;
    EXPECT_EQ(estimate_memory(settings, {}, solo.session.backend()).gradients, held) << groups;
    return held;
  };
  // 1 + log2(groups) buffers, each with a second gradient of the tied table.
  EXPECT_EQ(gradients(1), 4 * (parameters + table));
  EXPECT_EQ(gradients(2), 2 * 4 * (parameters + table));
  EXPECT_EQ(gradients(4), 3 * 4 * (parameters + table));
  EXPECT_EQ(gradients(8), 4 * 4 * (parameters + table));
  settings.reproducible = false;
  settings.logical_batch = 0;
  EXPECT_EQ(gradients(0), 4 * parameters);
}

TEST(Reproducible, AStepAfterTheFirstAllocatesNothing) {
  Solo solo(reproducible_settings(), "cpu");
  solo.trainer.step();
  const std::size_t before = solo.trainer.stage().pool().num_allocations();
  solo.session.exec().arena.freeze();
  solo.trainer.step();
  EXPECT_EQ(solo.trainer.stage().pool().num_allocations(), before);
}

TEST(Reproducible, WhatCannotBeHonouredIsRefusedByKey) {
  const auto refusal = [](auto&& change, const parallel::MeshShape& mesh = {}) {
    TrainSettings settings = reproducible_settings();
    change(settings);
    try {
      settings.validate(mesh);
    } catch (const Error& error) {
      return error.fields().where + ": " + error.fields().found + " / " + error.fields().expected;
    }
    return std::string("none");
  };
  EXPECT_EQ(refusal([](auto&) {}), "none");
  EXPECT_EQ(refusal([](auto& s) { s.logical_batch = 3; }),
            "train.logical_batch: 3 sequences / a divisor of train.batch = 8");
  EXPECT_EQ(refusal([](auto& s) { s.logical_batch = -1; }),
            "train.logical_batch: -1 sequences / a divisor of train.batch = 8");
  EXPECT_EQ(refusal([](auto& s) { s.logical_batch = 0, s.micro_batch = 1; }),
            "train.micro_batch: 1 sequences / a multiple of 2 (chosen from inner.length and "
            "train.batch)");
  EXPECT_EQ(refusal([](auto& s) { s.logical_batch = 2, s.micro_batch = 3; }),
            "train.micro_batch: 3 sequences / a multiple of 2 = train.logical_batch");
  EXPECT_EQ(refusal([](auto& s) { s.logical_groups = 3; }),
            "train.logical_groups: 3 / a divisor of train.batch / train.logical_batch = 8");
  EXPECT_EQ(
      refusal([](auto&) {}, {.dp = 8}),
      "train.logical_groups: 4 groups for dp = 8 (chosen from the batch) / dp times a power of "
      "two");
  // Six groups as a tree have no branches of three, and two replicas would need them.
  EXPECT_EQ(refusal([](auto& s) { s.batch = 12, s.logical_groups = 6; }, {.dp = 2}),
            "train.logical_groups: 6 groups for dp = 2 / dp times a power of two");
  EXPECT_EQ(refusal([](auto& s) { s.batch = 12, s.logical_groups = 6; }, {.dp = 3}), "none");
  EXPECT_EQ(refusal([](auto& s) { s.batch = 12, s.logical_groups = 6; }, {.dp = 3, .cp = 2}),
            "layout.cp: cp = 2 with dp = 3 / dp = a power of two");
  EXPECT_EQ(refusal([](auto& s) { s.logical_groups = 3, s.reproducible = false; }),
            "train.reproducible: false / true where train.logical_batch or train.logical_groups is "
            "set");
}

}  // namespace
}  // namespace concordat::train::test
