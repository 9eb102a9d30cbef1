// Units of a step that are captured once and replayed: the bits of training without that, and that
// replays happen.
#include "concordat/device/errors.hpp"
#include "concordat/device/pending.hpp"
#include "concordat/train/errors.hpp"
#include "unit/train/solo.hpp"

namespace concordat::train::test {
namespace {

/// Four units a step, of which the last is smaller.
TrainSettings with_a_tail(TrainSettings settings) {
  settings.batch = 7;
  settings.micro_batch = 2;
  return settings;
}

/// Three units a step of a small model, for emulated tensor cores.
TrainSettings narrow(TrainSettings settings, Dtype compute) {
  settings = with_a_tail(settings);
  settings.batch = 5;
  settings.model.layers = 1;
  settings.compute = compute;
  return settings;
}

void expect_equal(const Outcome& found, const Outcome& expected) {
  ASSERT_EQ(found.reports.size(), expected.reports.size());
  for (std::size_t step = 0; step < found.reports.size(); ++step) {
    EXPECT_EQ(found.reports[step].loss, expected.reports[step].loss) << step;
    EXPECT_EQ(found.reports[step].gradient_norm, expected.reports[step].gradient_norm) << step;
    EXPECT_EQ(found.reports[step].loss_scale, expected.reports[step].loss_scale) << step;
    EXPECT_EQ(found.reports[step].skipped, expected.reports[step].skipped) << step;
  }
  EXPECT_EQ(found.first_state, expected.first_state);
  EXPECT_EQ(found.state, expected.state);
  EXPECT_EQ(found.validation.nats_per_token, expected.validation.nats_per_token);
}

/// What both gave.
Outcome expect_the_same_bits(TrainSettings settings, const parallel::MeshShape& shape = {}) {
  settings.graphs = false;
  Outcome expected = train("cuda", shape, settings, 3);
  settings.graphs = true;
  expect_equal(train("cuda", shape, settings, 3), expected);
  return expected;
}

class Graphs : public testing::TestWithParam<model::Family> {
 protected:
  static TrainSettings settings() {
    return with_a_tail(GetParam() == model::Family::gpt2 ? tiny_gpt2() : tiny_settings());
  }
};

INSTANTIATE_TEST_SUITE_P(Families, Graphs,
                         testing::Values(model::Family::llama, model::Family::gpt2),
                         [](const auto& family) { return std::string(name_of(family.param)); });

TEST_P(Graphs, GiveTheSameBits) { expect_the_same_bits(settings()); }

TEST_P(Graphs, GiveTheSameBitsInReproducibleMode) {
  TrainSettings grouped = settings();
  grouped.batch = 8;
  grouped.reproducible = true;
  grouped.logical_batch = 1;
  grouped.logical_groups = 4;
  expect_the_same_bits(grouped);
}

TEST(UnitGraphs, GiveTheSameBitsInBf16WithRecomputedActivations) {
  TrainSettings settings = narrow(tiny_gpt2(), Dtype::bf16);
  settings.recompute = model::Recompute::block;
  expect_the_same_bits(settings);
}

TEST(UnitGraphs, GiveTheSameBitsInF16WithAScaleThatChangesWithEachStep) {
  TrainSettings settings = narrow(tiny_settings(), Dtype::f16);
  settings.recompute = model::Recompute::attention;
  settings.loss_scale.growth_interval = 1;
  const Outcome both = expect_the_same_bits(settings);
  for (std::size_t step = 1; step < both.reports.size(); ++step) {
    EXPECT_NE(both.reports[step].loss_scale, both.reports[step - 1].loss_scale) << step;
  }
}

TEST(UnitGraphs, GiveTheSameBitsOnTwoRanks) {
  TrainSettings two = tiny_settings();
  two.batch = 11;  // three units on each rank, on one of them a smaller one
  expect_the_same_bits(two, {.dp = 2});
  two = tiny_gpt2();
  two.batch = 11;
  two.overlap = false;
  two.zero = 1;
  two.bucket_elements = 64;  // between the table of tokens and that of positions, too
  expect_the_same_bits(two, {.dp = 2});
}

TrainSettings with_graphs(TrainSettings settings = with_a_tail(tiny_settings())) {
  settings.graphs = true;
  return settings;
}

TEST(UnitGraphs, EachKindRunsOnceIsCapturedOnceAndThenReplayed) {
  Solo solo(with_graphs(), "cuda");
  const UnitGraphs& graphs = *solo.trainer.graphs();
  // Sets and adds, two sequences; adds, one sequence. The second unit that adds is captured.
  solo.trainer.step();
  EXPECT_EQ(graphs.num_captured(), 1);
  EXPECT_EQ(graphs.num_launched(), 1);
  solo.trainer.step();
  EXPECT_EQ(graphs.num_captured(), 3);
  EXPECT_EQ(graphs.num_launched(), 5);
  solo.trainer.step();
  EXPECT_EQ(graphs.num_captured(), 3);
  EXPECT_EQ(graphs.num_launched(), 9);
  EXPECT_EQ(Solo(tiny_settings(), "cuda").trainer.graphs(), nullptr);
}

TEST(UnitGraphs, TakeNoMemoryBesideTheActivationsThatAreThere) {
  Solo plain(with_a_tail(tiny_settings()), "cuda");
  Solo solo(with_graphs(), "cuda");
  for (int i = 0; i < 3; ++i) {
    plain.trainer.step();
    solo.trainer.step();
  }
  EXPECT_EQ(solo.trainer.memory_in_use().total(), plain.trainer.memory_in_use().total());
}

TEST(UnitGraphs, OfAStepThatSumsBesideItsBackwardTheLastUnitIsNotReplayed) {
  for (const bool overlap : {true, false}) {
    comm::run_threads(2, [&](comm::Communicator& comm) {
      device::Session session("cuda", {.local_rank = comm.rank()});
      const auto ranks = session.backend().communicator(comm);
      parallel::ProcessMesh mesh(*ranks, {.dp = 2});
      TrainSettings settings = with_graphs();
      settings.batch = 12;  // three equal units on each rank
      settings.overlap = overlap;
      MadeUpData data(settings.model.vocab);
      Trainer trainer(settings, session.exec(), mesh, data, system_clock());
      for (int i = 0; i < 3; ++i) trainer.step();
      EXPECT_EQ(trainer.graphs()->num_captured(), 2);
      EXPECT_EQ(trainer.graphs()->num_launched(), overlap ? 4 : 7);
    });
  }
}

TEST(UnitGraphs, LossesOfEachGroupAndWhatComesBetweenTheStepsStayAsTheyAre) {
  TrainSettings settings = with_a_tail(tiny_settings());
  settings.batch = 8;
  settings.reproducible = true;
  settings.logical_batch = 1;
  settings.logical_groups = 4;
  Solo plain(settings, "cuda");
  Solo solo(with_graphs(settings), "cuda");
  const auto losses = [](Solo& of) {
    of.trainer.step();
    auto sums = device::read_back_all<double>(of.session.exec(), of.trainer.stage().loss_sums());
    const std::vector<double> found = sums.get();
    of.trainer.validate(of.data);
    return found;
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(losses(solo), losses(plain)) << i;
}

TEST(UnitGraphs, AnActivationThatSomebodyHoldsIsABug) {
  for (const int steps : {1, 2}) {  // held by a capture, and by replays alone
    Solo solo(with_graphs(), "cuda");
    for (int i = 0; i < steps; ++i) solo.trainer.step();
    const Tensor held =
        solo.trainer.stage().boundary({.sequences = 2, .length = model::LocalLength(6)});
    try {
      solo.trainer.step();
      FAIL() << steps;
    } catch (const Bug& bug) {
      EXPECT_NE(std::string(bug.what()).find("1 activations"), std::string::npos) << bug.what();
    }
  }
}

TEST(UnitGraphs, AreRefusedWhereTheyCannotBe) {
  const auto where = [](const TrainSettings& settings, const parallel::MeshShape& shape) {
    try {
      settings.validate(shape);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), errors::bad_settings);
      return error.fields().where;
    }
    return std::string();
  };
  TrainSettings settings = with_graphs();
  for (const parallel::MeshShape& shape :
       {parallel::MeshShape{.pp = 2}, parallel::MeshShape{.cp = 2}, parallel::MeshShape{.tp = 2}}) {
    EXPECT_EQ(where(settings, shape), "train.graphs");
  }
  EXPECT_EQ(where(settings, {.dp = 2}), "");
  settings.schedule = "gpipe";
  EXPECT_EQ(where(settings, {}), "train.graphs");
  settings.schedule = "zb-h1";
  EXPECT_EQ(where(settings, {}), "");
  for (const std::string& backend : backends()) {
    try {
      Solo solo(settings, backend);
      FAIL() << backend;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), device::errors::not_on_this_device);
      EXPECT_EQ(error.fields().where, "train.graphs");
    }
  }
}

}  // namespace
}  // namespace concordat::train::test
