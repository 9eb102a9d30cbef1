// Training on the cuda plug-in, which runs on the emulated CUDA here: the losses, gradients and
// weights of the reference.
#include "unit/train/cuda_support.hpp"

namespace concordat::train::test {
namespace {

class OnCuda : public testing::TestWithParam<model::Family> {
 protected:
  static TrainSettings settings() {
    return GetParam() == model::Family::gpt2 ? tiny_gpt2() : tiny_settings();
  }
};

INSTANTIATE_TEST_SUITE_P(Families, OnCuda,
                         testing::Values(model::Family::llama, model::Family::gpt2),
                         [](const auto& family) { return std::string(name_of(family.param)); });

// f32 sums of at most a few dozen terms against f64: some ulp of the largest element of a gradient
// (below 2e-6 under emulation; expf of a GPU may be off by another).
TEST_P(OnCuda, TrainsToTheReferencesLosses) { expect_the_references(settings(), 2e-5, 5e-6F); }

TEST_P(OnCuda, TrainsWithRecomputedActivations) {
  TrainSettings recomputed = settings();
  recomputed.recompute = model::Recompute::block;
  expect_the_references(recomputed, 2e-5, 5e-6F);
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

}  // namespace
}  // namespace concordat::train::test
