// Training on the cuda plug-in, which runs on the emulated CUDA here: the losses, gradients and
// weights of the reference.
#include "concordat/device/errors.hpp"
#include "unit/train/support.hpp"

namespace concordat::train::test {
namespace {

/// The first step's gradients by the first moments, the rest by the losses.
/// `noise`: of gradients that are zero but for rounding (of the keys' bias: a softmax does not see
/// it).
void expect_the_references(const TrainSettings& settings, double loss_tolerance,
                           float gradient_tolerance, float noise = 1e-6F) {
  const Outcome oracle = train("reference", {}, settings, 3);
  const Outcome found = train("cuda", {}, settings, 3);
  ASSERT_EQ(found.reports.size(), 3U);
  for (std::size_t step = 0; step < 3; ++step) {
    EXPECT_NEAR(found.reports[step].loss, oracle.reports[step].loss, loss_tolerance) << step;
  }
  EXPECT_NEAR(found.validation.nats_per_token, oracle.validation.nats_per_token, loss_tolerance);
  ASSERT_EQ(found.first_state.size(), oracle.first_state.size());
  for (const auto& [name, values] : oracle.first_state) {
    if (!name.starts_with("adamw_m/")) continue;
    const auto& others = found.first_state.at(name);
    ASSERT_EQ(others.size(), values.size()) << name;
    const float most = largest(values);
    EXPECT_TRUE(most > 0.0F || is_noise(name)) << name;
    const float bound = is_noise(name) ? noise : gradient_tolerance * most;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(others[i], values[i], bound) << name << " [" << i << "]";
    }
  }
}

class OnCuda : public testing::TestWithParam<model::Family> {
 protected:
  static TrainSettings settings() {
    return GetParam() == model::Family::gpt2 ? tiny_gpt2() : tiny_settings();
  }
};

INSTANTIATE_TEST_SUITE_P(Families, OnCuda,
                         testing::Values(model::Family::llama, model::Family::gpt2),
                         [](const auto& family) { return std::string(name_of(family.param)); });

// f32 sums of at most a few dozen terms against f64: some ulp of the largest element of a gradient.
TEST_P(OnCuda, TrainsToTheReferencesLosses) { expect_the_references(settings(), 2e-5, 2e-5F); }

TEST_P(OnCuda, TrainsWithRecomputedActivations) {
  TrainSettings recomputed = settings();
  recomputed.recompute = model::Recompute::block;
  expect_the_references(recomputed, 2e-5, 2e-5F);
}

// The operands of products are rounded alike, but what is rounded differs in its last bits: a value
// near a boundary goes the other way, by 2^-8 of itself. Attention rounds its weights and the
// scores' gradients, too, so that the latter no longer cancel to f32's last bits.
TEST_P(OnCuda, TrainsInBf16) {
  TrainSettings narrow = settings();
  narrow.compute = Dtype::bf16;
  expect_the_references(narrow, 4e-3, 4e-2F, 1e-5F);
}

TEST_P(OnCuda, RepeatsItsBits) {
  const Outcome one = train("cuda", {}, settings(), 3);
  const Outcome again = train("cuda", {}, settings(), 3);
  EXPECT_EQ(one.state, again.state);
}

TEST_P(OnCuda, SeveralRanksAreRefusedByName) {
  try {
    train("cuda", {.dp = 2}, settings(), 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), device::errors::not_on_this_device);
    EXPECT_EQ(error.fields().found, "2 ranks");
  }
}

}  // namespace
}  // namespace concordat::train::test
