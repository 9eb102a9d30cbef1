// Six AdamW steps with clipping, decay groups and warm-up against PyTorch's.
#include "concordat/core/clock.hpp"
#include "support.hpp"
#include "support/golden.hpp"

namespace concordat::train::test {
namespace {

/// The golden file's windows, step by step.
class GoldenData final : public TrainingData {
 public:
  explicit GoldenData(const concordat::test::Golden& golden) : golden_(golden) {}
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    const auto windows = golden_.i32("tokens/" + std::to_string(index / 3));
    std::copy_n(windows.begin() + static_cast<std::ptrdiff_t>(index % 3 * tokens.size()),
                tokens.size(), tokens.begin());
  }

 private:
  const concordat::test::Golden& golden_;
};

TrainSettings golden_settings(model::Family family) {
  TrainSettings settings;
  settings.model = {.vocab = 19, .width = 16, .layers = 2, .heads = 4, .kv_heads = 2, .ffn = 24};
  if (family == model::Family::gpt2) {
    settings.model = {.family = family,
                      .vocab = 19,
                      .width = 16,
                      .layers = 2,
                      .heads = 4,
                      .kv_heads = 4,
                      .ffn = 40,
                      .positions = 11,
                      .tied = true};
  }
  settings.length = GlobalLength(7);
  settings.batch = 3;
  settings.micro_batch = 2;
  settings.rate = {.peak = 1e-2, .floor = 1e-3, .warmup_steps = 2, .total_steps = 6};
  return settings;
}

class GoldenTrainingTest : public testing::TestWithParam<Case> {};

TEST_P(GoldenTrainingTest, LossesNormsAndWeightsOfSixStepsAreThoseOfPyTorch) {
  const concordat::test::Golden golden(std::string(name_of(GetParam().family)) + ".txt");
  GoldenData data(golden);
  device::Session session(GetParam().backend);
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  Trainer trainer(golden_settings(GetParam().family), session.exec(), mesh, data, system_clock());
  HostState state = trainer.make_state();
  const auto weights = [&](const std::string& prefix) {
    std::vector<float> flat;
    for (const auto& spec : trainer.stage().specs()) {
      const auto values = golden.f32(prefix + spec.name);
      flat.insert(flat.end(), values.begin(), values.end());
    }
    return flat;
  };
  const auto initial = weights("weight/");
  std::copy(initial.begin(), initial.end(), state.weights().span<float>().begin());
  trainer.write_weights(state.weights());

  const auto losses = golden.f64("losses");
  const auto norms = golden.f64("norms");
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const StepReport report = trainer.step();
    // The golden run is in double. Rounding of 1e-6 grows a little with each step.
    EXPECT_NEAR(report.loss, losses[i], 1e-5) << i;
    EXPECT_NEAR(report.gradient_norm, norms[i], 1e-4) << i;
  }
  trainer.read_state(state);
  const auto expected = weights("final/");
  const auto found = state.weights().span<float>();
  ASSERT_EQ(found.size(), expected.size());
  // Rates sum to 0.035; where v is small, rounding of the gradient shows in a step's size. All of
  // the gradient of gpt2's key biases is rounding (softmax does not see them).
  std::size_t i = 0;
  for (const auto& spec : trainer.stage().specs()) {
    const bool noise = is_noise(spec.name);
    for (std::int64_t left = num_elements(spec.shape); left > 0; --left, ++i) {
      ASSERT_NEAR(found[i], expected[i], noise ? 0.035 : 5e-5) << spec.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTrainingTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace concordat::train::test
