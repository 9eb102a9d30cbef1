#include "site/outer_state.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "fake_border.hpp"
#include "toy_site.hpp"

namespace concordat::site {
namespace {

/// One rank that holds the whole toy model.
class OuterStateTest : public ::testing::Test {
 protected:
  OuterStateTest() {
    state.begin();
    std::ranges::fill(state.phi().span<float>(), 0.5F);
    for (std::size_t i = 0; i < theta.size(); ++i) {
      theta[i] = 0.5F - toy_update(0, 0, static_cast<std::int64_t>(i));
    }
    theta_before = theta;
  }
  std::span<float> named(const std::string& name) {
    for (const auto& tensor : state.named_tensors()) {
      if (tensor.name == name) return tensor.local.span<float>();
    }
    return {};
  }
  /// Applies sums of three sites that all sent this one's codes.
  void apply(const RoundClosing& closing, const RoundInputs& inputs) {
    for (std::size_t i = 0; i < state.num_blocks(); ++i) {
      Bytes codes(state.block_elements(i) * 2);
      state.quantise_block(Round{0}, i, inputs, scratch, codes, {});
      Bytes sums = codes;
      for (int peer = 0; peer < 2; ++peer) exact::add_lanes(exact::Lane::u16, sums, codes);
      state.apply_block(Round{0}, i, closing, inputs, scratch, sums);
    }
  }

  std::vector<parallel::ParameterSpec> specs = toy_specs();
  parallel::CanonicalSpace space{specs};
  OuterState state{toy_terms(), space, 0, 1};
  std::vector<float> theta = std::vector<float>(49000), theta_before;
  crypto::SecretBytes key{32};
  BlockScratch scratch;
};

TEST_F(OuterStateTest, AListedSiteStartsFromTheNewModelAndKeepsItsError) {
  apply({.weight = {3, 1000, 3000}, .listed = true}, {key, {1000, 1000}, theta});
  EXPECT_TRUE(std::ranges::equal(theta, state.phi().span<float>()));
  EXPECT_TRUE(std::ranges::any_of(named("outer/error"), [](float e) { return e != 0.0F; }));
  // 8 bits over +-0.05: no error is larger than a code.
  EXPECT_LE(*std::ranges::max_element(named("outer/error")), 0.05F / 128);
  for (std::size_t i = 0; i < theta.size(); i += 101) {
    // Nesterov from rest: 0.7 * (1 + 0.5) of the update.
    ASSERT_NEAR(theta[i], 0.5F - 1.05F * toy_update(0, 0, static_cast<std::int64_t>(i)), 1e-3F);
  }
}

TEST_F(OuterStateTest, AnUnlistedSiteCarriesItsUpdateOn) {
  apply({.weight = {3, 1000, 3000}, .listed = false}, {key, {1000, 1000}, theta});
  const std::span<float> phi = state.phi().span<float>();
  for (std::size_t i = 0; i < theta.size(); i += 101) {
    ASSERT_EQ(theta[i], theta_before[i] + (phi[i] - 0.5F));
  }
  EXPECT_TRUE(std::ranges::all_of(named("outer/error"), [](float e) { return e == 0.0F; }));
}

TEST_F(OuterStateTest, ATotalWeightOfZeroChangesNothingShared) {
  const std::vector<float> scales(named("outer/scales").begin(), named("outer/scales").end());
  apply({.weight = {3, 1000, 0}, .listed = true}, {key, {0, 1000}, theta});
  EXPECT_TRUE(std::ranges::all_of(state.phi().span<float>(), [](float x) { return x == 0.5F; }));
  EXPECT_TRUE(std::ranges::equal(named("outer/scales"), scales));
  EXPECT_TRUE(std::ranges::all_of(named("outer/m"), [](float x) { return x == 0.0F; }));
  // What was not sent stays in the error feedback: w = 0 sends nothing at all.
  for (std::size_t i = 0; i < theta.size(); i += 101) {
    ASSERT_EQ(named("outer/error")[i], 0.5F - theta_before[i]);
  }
}

TEST_F(OuterStateTest, ScalesFollowTheBitsOfTheNextRound) {
  const float before = named("outer/scales").front();
  apply({.weight = {3, 1000, 3000}, .listed = true}, {key, {1000, 1000}, theta});
  // 8 bits to 4: the range changes at most twofold, so a code is 8 to 32 times as wide.
  for (const float scale : named("outer/scales")) {
    EXPECT_GE(scale, before * 8);
    EXPECT_LE(scale, before * 32);
  }
}

TEST_F(OuterStateTest, TheDigestCoversModelMomentsScalesAndRound) {
  const auto comm = comm::self_communicator();
  std::set<Digest> seen{state.digest(*comm, Round{0})};
  EXPECT_TRUE(seen.insert(state.digest(*comm, Round{1})).second);
  for (const char* name : {"outer/phi", "outer/m", "outer/scales"}) {
    named(name)[0] += 1.0F;
    EXPECT_TRUE(seen.insert(state.digest(*comm, Round{0})).second) << name;
  }
  named("outer/error")[0] += 1.0F;
  EXPECT_FALSE(seen.insert(state.digest(*comm, Round{0})).second) << "the error is the site's own";
}

TEST(OuterState, KeepsTheMomentsOfItsKind) {
  const std::vector<parallel::ParameterSpec> specs = toy_specs();
  const parallel::CanonicalSpace space{specs};
  const auto names = [&](exact::OuterKind kind) {
    OuterTerms terms = toy_terms();
    terms.outer.kind = kind;
    std::string all;
    for (const auto& tensor : OuterState(terms, space, 0, 1).named_tensors()) {
      all += tensor.name.substr(6) + " ";
    }
    return all;
  };
  EXPECT_EQ(names(exact::OuterKind::fedavg), "phi error scales ");
  EXPECT_EQ(names(exact::OuterKind::nesterov), "phi m error scales ");
  EXPECT_EQ(names(exact::OuterKind::fedyogi), "phi m v error scales ");
}

}  // namespace
}  // namespace concordat::site
