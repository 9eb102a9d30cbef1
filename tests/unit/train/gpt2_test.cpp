// gpt2 on every layout trains as one rank does: learned positions, LayerNorm, biases that are
// sharded, whole or parts of a sum. Rank counts: 1, 2, 3, 4, 6.
#include "concordat/model/errors.hpp"
#include "support.hpp"

namespace concordat::train::test {
namespace {

/// Heads that tp 2 and 3 divide, a vocabulary that neither does, rows that all do.
TrainSettings six_heads() {
  TrainSettings settings = tiny_gpt2();
  settings.model.width = 12;
  settings.model.heads = 6;
  settings.model.kv_heads = 6;
  settings.model.layers = 4;
  return settings;
}

void expect_one_rank(const TrainSettings& settings, const parallel::MeshShape& shape,
                     const std::string& backend = "cpu") {
  SCOPED_TRACE(backend + " " + shape.text() + " " + settings.schedule);
  TrainSettings alone = settings;
  alone.schedule = "1f1b";
  alone.chunks = 1;
  alone.zero = 0;
  alone.sequence_parallel = false;
  alone.recompute = model::Recompute::none;
  test::expect_one_rank(backend, alone, shape, settings, 3e-6);
}

TEST(Gpt2, TensorParallelEqualsOneRankOnEveryBackEnd) {
  for (const std::string& backend : backends()) {
    expect_one_rank(six_heads(), {.tp = 2}, backend);
    expect_one_rank(six_heads(), {.tp = 3}, backend);
  }
}

TEST(Gpt2, SequenceParallelEqualsOneRankOnEveryBackEnd) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  for (const std::string& backend : backends()) {
    expect_one_rank(settings, {.tp = 2}, backend);
    expect_one_rank(settings, {.dp = 2, .tp = 3}, backend);
  }
  expect_one_rank(settings, {.pp = 2, .tp = 2});
}

TEST(Gpt2, ContextParallelRanksLookUpTheirOwnPositions) {
  TrainSettings settings = six_heads();
  expect_one_rank(settings, {.cp = 2}, "strict");
  expect_one_rank(settings, {.cp = 3});
  settings.length = GlobalLength(12);  // fronts and mirror images
  settings.model.positions = 12;
  expect_one_rank(settings, {.cp = 2});
  settings.sequence_parallel = true;
  expect_one_rank(settings, {.cp = 3, .tp = 2});
}

TEST(Gpt2, PipelinesOfEveryScheduleEqualOneRank) {
  for (const bool tied : {true, false}) {
    TrainSettings settings = six_heads();
    settings.model.tied = tied;
    for (const char* schedule : {"gpipe", "1f1b", "zb-h1"}) {
      settings.schedule = schedule;
      expect_one_rank(settings, {.pp = 2});
      expect_one_rank(settings, {.pp = 3});
    }
    settings.schedule = "interleaved";
    settings.chunks = 2;
    settings.micro_batch = 1;
    expect_one_rank(settings, {.pp = 2});
  }
}

TEST(Gpt2, SixRanksOfEveryKindEqualOne) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  settings.zero = 1;
  settings.bucket_elements = 300;
  expect_one_rank(settings, {.dp = 3, .tp = 2});
  expect_one_rank(settings, {.dp = 3, .pp = 2});
  expect_one_rank(settings, {.cp = 3, .tp = 2});
  expect_one_rank(settings, {.pp = 2, .cp = 3});
  for (const auto recompute : {model::Recompute::attention, model::Recompute::block}) {
    settings.recompute = recompute;
    expect_one_rank(settings, {.pp = 3, .tp = 2});
    expect_one_rank(settings, {.dp = 2, .tp = 3});
  }
}

// What is made again has the bits of what was kept, so the states are equal.
TEST(Gpt2, RecomputeChangesNoBit) {
  TrainSettings settings = six_heads();
  for (const std::string& backend : backends()) {
    settings.recompute = model::Recompute::none;
    const ByName kept = train(backend, {}, settings, 2).state;
    for (const auto recompute : {model::Recompute::attention, model::Recompute::block}) {
      settings.recompute = recompute;
      EXPECT_EQ(train(backend, {}, settings, 2).state, kept) << backend;
    }
  }
}

TEST(Gpt2, SixteenBitsStayNearFp32) {
  TrainSettings settings = six_heads();
  const Outcome wide = train("cpu", {}, settings, 4);
  for (const Dtype dtype : {Dtype::bf16, Dtype::f16}) {
    settings.compute = dtype;
    const Outcome narrow = train("cpu", {.pp = 2, .tp = 2}, settings, 4);
    // Weights and operands of eight bits: a hundredth of a loss near 2.4 nats.
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(narrow.reports[i].loss, wide.reports[i].loss, 0.03) << name_of(dtype);
      EXPECT_NE(narrow.reports[i].loss, wide.reports[i].loss) << name_of(dtype);
    }
  }
}

TEST(Gpt2, ItLearns) {
  const Outcome outcome = train("cpu", {}, six_heads(), 60);
  EXPECT_LT(outcome.reports.back().loss, outcome.reports.front().loss - 0.5);
}

TEST(Gpt2, MemoryIsEstimated) {
  for (const auto recompute :
       {model::Recompute::none, model::Recompute::attention, model::Recompute::block}) {
    TrainSettings settings = six_heads();
    settings.model.width = 96;
    settings.model.ffn = 384;
    settings.model.vocab = 40;
    settings.length = GlobalLength(64);
    settings.model.positions = 64;
    settings.recompute = recompute;
    auto comm = comm::self_communicator();
    device::Session session("cpu");
    parallel::ProcessMesh mesh(*comm, {});
    MadeUpData data(settings.model.vocab);
    Trainer trainer(settings, session.exec(), mesh, data, system_clock());
    trainer.step();
    const MemoryEstimate predicted = estimate_memory(settings, {}, session.backend());
    const MemoryEstimate held = trainer.memory_in_use();
    EXPECT_NEAR(static_cast<double>(predicted.total()) / static_cast<double>(held.total()), 1.0,
                0.15);
    EXPECT_NEAR(static_cast<double>(predicted.activations) / static_cast<double>(held.activations),
                1.0, 0.15);
  }
}

TEST(Gpt2, ASequenceBeyondTheTableOfPositionsIsRefusedWithBothKeys) {
  TrainSettings settings = tiny_gpt2();
  settings.length = GlobalLength(settings.model.positions);
  settings.validate({});
  settings.length = GlobalLength(settings.model.positions + 1);
  try {
    settings.validate({});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), model::errors::bad_config);
    EXPECT_EQ(error.fields().where, "inner.length");
    EXPECT_EQ(error.fields().expected, "at most model.positions = 7");
  }
}

}  // namespace
}  // namespace concordat::train::test
