#include "concordat/train/generate.hpp"

#include <cmath>

#include "support.hpp"

namespace concordat::train::test {
namespace {

TEST(PickToken, GreedyTakesTheFirstOfTheLargest) {
  const std::vector<float> logits{1.0F, 3.0F, 3.0F, 0.0F};
  EXPECT_EQ(pick_token(logits, 0.0, 0.99), 1);
}

TEST(PickToken, DrawsFollowTheSoftmax) {
  const std::vector<float> logits{std::log(1.0F), std::log(2.0F), std::log(5.0F)};
  EXPECT_EQ(pick_token(logits, 1.0, 0.124), 0);
  EXPECT_EQ(pick_token(logits, 1.0, 0.126), 1);
  EXPECT_EQ(pick_token(logits, 1.0, 0.374), 1);
  EXPECT_EQ(pick_token(logits, 1.0, 0.376), 2);
  EXPECT_EQ(pick_token(logits, 1.0, 0.999999), 2);
  EXPECT_EQ(pick_token(logits, 0.05, 0.01), 2);
}

class GenerateTest : public testing::TestWithParam<std::string> {};

TEST_P(GenerateTest, ATrainedModelContinuesThePattern) {
  TrainSettings settings = tiny_settings();
  settings.rate = {.peak = 3e-2, .floor = 3e-3, .warmup_steps = 5, .total_steps = 80};
  device::Session session(GetParam());
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  MadeUpData data(11);
  Trainer trainer(settings, session.exec(), mesh, data, system_clock());
  while (trainer.next_step() < 80) trainer.step();
  const std::vector<std::int32_t> prompt{2};
  const auto text = generate(trainer.stage(), session.exec(), mesh, prompt, GlobalLength(6),
                             {.new_tokens = 12, .temperature = 0.0});
  // Each token is the one before plus 3, also where the window slides.
  ASSERT_EQ(text.size(), 13U);
  for (std::size_t i = 1; i < text.size(); ++i) EXPECT_EQ(text[i], (text[i - 1] + 3) % 11) << i;
}

INSTANTIATE_TEST_SUITE_P(BackEnds, GenerateTest, testing::ValuesIn(backends()),
                         [](const auto& back_end) { return back_end.param; });

TEST(Generate, TheSameSeedGivesTheSameTextAndAnotherSeedAnother) {
  device::Session session("cpu");
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  MadeUpData data(11);
  Trainer trainer(tiny_settings(), session.exec(), mesh, data, system_clock());
  const std::vector<std::int32_t> prompt{1, 2, 3};
  const auto run = [&](std::uint64_t seed) {
    return generate(trainer.stage(), session.exec(), mesh, prompt, GlobalLength(6),
                    {.new_tokens = 20, .temperature = 1.0, .seed = seed});
  };
  EXPECT_EQ(run(4), run(4));
  EXPECT_NE(run(4), run(5));
  int seen = 0;
  generate(trainer.stage(), session.exec(), mesh, prompt, GlobalLength(6), {},
           [&](std::int32_t) { return ++seen < 3; });
  EXPECT_EQ(seen, 3);
  EXPECT_THROW(generate(trainer.stage(), session.exec(), mesh, {}, GlobalLength(6), {}), Error);
  const std::vector<std::int32_t> foreign{11};
  EXPECT_THROW(generate(trainer.stage(), session.exec(), mesh, foreign, GlobalLength(6), {}),
               Error);
}

}  // namespace
}  // namespace concordat::train::test
