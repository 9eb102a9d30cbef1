// Recompute and memory: the same bits in less of it, as predicted, and no growth after the first
// step.
#include <malloc.h>

#include <array>

#include "solo.hpp"

namespace concordat::train::test {
namespace {

using model::Recompute;

constexpr std::array all_levels{Recompute::none, Recompute::attention, Recompute::block};

TrainSettings small_settings() {
  TrainSettings settings = tiny_settings();
  settings.model = {.vocab = 96, .width = 32, .layers = 4, .heads = 4, .kv_heads = 2, .ffn = 80};
  settings.length = GlobalLength(24);
  settings.batch = 6;
  settings.micro_batch = 2;
  return settings;
}

TEST(Recompute, EveryLevelGivesTheBitsOfNone) {
  for (const Dtype compute : {Dtype::f32, Dtype::bf16}) {
    for (const std::string& backend : backends()) {
      TrainSettings settings = tiny_settings();
      settings.compute = compute;
      const Outcome none = train(backend, {}, settings, 2);
      for (const Recompute level : {Recompute::attention, Recompute::block}) {
        settings.recompute = level;
        const Outcome again = train(backend, {}, settings, 2);
        EXPECT_EQ(again.state, none.state) << backend << " " << static_cast<int>(level);
        EXPECT_EQ(again.validation.nats_per_token, none.validation.nats_per_token);
      }
    }
  }
}

TEST(Recompute, EveryLevelGivesTheBitsOfNoneOnMeshesAndSchedules) {
  for (const char* schedule : {"1f1b", "zb-h1", "gpipe"}) {
    TrainSettings settings = tiny_settings();
    settings.schedule = schedule;
    const parallel::MeshShape mesh{.pp = 2, .tp = 2};
    const Outcome none = train("cpu", mesh, settings, 2);
    for (const Recompute level : {Recompute::attention, Recompute::block}) {
      settings.recompute = level;
      EXPECT_EQ(train("cpu", mesh, settings, 2).state, none.state) << schedule;
    }
  }
}

TEST(Recompute, EachLevelHoldsLess) {
  std::size_t used[3] = {};
  for (const Recompute level : all_levels) {
    TrainSettings settings = small_settings();
    settings.model.layers = 8;
    settings.recompute = level;
    Solo solo(settings, "cpu");
    solo.trainer.step();
    used[static_cast<int>(level)] = solo.trainer.stage().pool().allocated_bytes();
  }
  EXPECT_LT(used[1], used[0] * 3 / 4);
  EXPECT_LT(used[2], used[1] * 3 / 4);
}

TEST(Memory, PredictedWithinFifteenPercentOfWhatIsHeld) {
  for (const Recompute level : all_levels) {
    for (const Dtype compute : {Dtype::f32, Dtype::bf16}) {
      for (const std::int64_t length : {24, 200}) {
        TrainSettings settings = small_settings();
        settings.recompute = level;
        settings.compute = compute;
        settings.length = GlobalLength(length);
        Solo solo(settings, "cpu");
        solo.trainer.step();
        const MemoryEstimate predicted = estimate_memory(settings, {}, solo.session.backend());
        const MemoryEstimate held = solo.trainer.memory_in_use();
        const std::string what = std::to_string(static_cast<int>(level)) + " " +
                                 std::string(name_of(compute)) + " " + std::to_string(length);
        EXPECT_EQ(predicted.weights, held.weights) << what;
        EXPECT_EQ(predicted.gradients, held.gradients) << what;
        EXPECT_EQ(predicted.optimizer, held.optimizer) << what;
        EXPECT_NEAR(
            static_cast<double>(predicted.activations) / static_cast<double>(held.activations), 1.0,
            0.15)
            << what;
      }
    }
  }
}

TEST(Memory, CopiesOfWeightsForProductsAreKnownBeforehand) {
  for (const Dtype compute : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    for (const bool tied : {false, true}) {
      TrainSettings settings = small_settings();
      settings.model.width = 128;  // blocks of the library are padded to less than this
      settings.model.ffn = 256;
      settings.model.vocab = 512;
      settings.model.tied = tied;
      settings.compute = compute;
      settings.batch = 5;  // the last micro-batch is shorter: its products read the same copies
      Solo solo(settings, "cpu");
      solo.trainer.step();
      const auto predicted = estimate_memory(settings, {}, solo.session.backend()).copies;
      const auto held = solo.trainer.memory_in_use().copies;
      const std::string what = std::string(name_of(compute)) + (tied ? " tied" : "");
      EXPECT_LE(held, predicted) << what;
      EXPECT_GE(held, predicted / 2) << what;  // a layout that the library reads in place
    }
  }
}

TEST(Memory, NothingGrowsAfterTheFirstStep) {
  for (const Recompute level : all_levels) {
    for (const Dtype compute : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
      TrainSettings settings = small_settings();
      settings.recompute = level;
      settings.compute = compute;
      Solo solo(settings, "cpu");
      solo.trainer.step();
      const std::size_t before = solo.trainer.stage().pool().num_allocations();
      solo.session.exec().arena.freeze();
      solo.trainer.step();
      // Bytes in use on the heap, whoever asked for them: small objects come and go.
      const auto in_use = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
      const std::size_t heap = in_use();
      for (int i = 0; i < 4; ++i) solo.trainer.step();
      EXPECT_EQ(solo.trainer.stage().pool().num_allocations(), before);
      EXPECT_LE(in_use(), heap + 1024) << static_cast<int>(level);
    }
  }
}

}  // namespace
}  // namespace concordat::train::test
