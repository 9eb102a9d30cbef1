// Pipeline, data and tensor parallel training equal one rank, on every back end.
// Rank counts: 1, 2, 3, 4, 6.
#include "support.hpp"

namespace concordat::train::test {
namespace {

/// The same sums in another order differ by a few ulp of the gradient. AdamW divides m by sqrt(v),
/// which is the sign of the gradient after the first steps: where an element is near 0 the rounding
/// decides, and the weight differs by up to a rate's worth. So: losses, norms and moments tightly;
/// weights within a hundredth of the summed rates.
void expect_equal(const Outcome& found, const Outcome& expected, double summed_rates) {
  ASSERT_EQ(found.reports.size(), expected.reports.size());
  for (std::size_t i = 0; i < found.reports.size(); ++i) {
    EXPECT_NEAR(found.reports[i].loss, expected.reports[i].loss, 2e-5) << "step " << i;
    EXPECT_NEAR(found.reports[i].gradient_norm, expected.reports[i].gradient_norm, 2e-4);
  }
  EXPECT_NEAR(found.validation.nats_per_token, expected.validation.nats_per_token, 2e-5);
  EXPECT_EQ(found.validation.bytes, expected.validation.bytes);
  ASSERT_EQ(found.state.size(), expected.state.size());
  for (const auto& [name, values] : expected.state) {
    const auto& others = found.state.at(name);
    ASSERT_EQ(others.size(), values.size()) << name;
    if (is_noise(name)) continue;
    const double bound = name.starts_with("weights/")
                             ? 1e-2 * summed_rates
                             : 1e-3 * static_cast<double>(std::max(largest(values), 1e-6F));
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(others[i], values[i], bound) << name << " [" << i << "]";
    }
  }
}

class LayoutsTest : public testing::TestWithParam<std::string> {
 protected:
  void check(const parallel::MeshShape& shape, const std::string& schedule = "1f1b") {
    SCOPED_TRACE(shape.text() + " " + schedule);
    TrainSettings settings = tiny_settings();
    constexpr int kSteps = 3;
    const Outcome one = train(GetParam(), {}, settings, kSteps);
    settings.schedule = schedule;
    expect_equal(train(GetParam(), shape, settings, kSteps), one, settings.rate.sum(0, kSteps));
  }
};

TEST_P(LayoutsTest, ATwoStagePipelineEqualsOneRank) {
  check({.pp = 2}, "1f1b");
  check({.pp = 2}, "gpipe");
}

TEST_P(LayoutsTest, DataParallelOverTwoRanksEqualsOne) { check({.dp = 2}); }

TEST_P(LayoutsTest, DataParallelOverThreeRanksEqualsOne) { check({.dp = 3}); }

TEST_P(LayoutsTest, ABatchThatReplicasDoNotDivideEqualsOneRank) { check({.dp = 4}); }

TEST_P(LayoutsTest, TensorParallelOverTwoRanksEqualsOne) { check({.tp = 2}); }

TEST_P(LayoutsTest, AMeshOfAllThreeEqualsOneRank) {
  check({.pp = 2, .tp = 2});
  check({.dp = 3, .pp = 2});
}

INSTANTIATE_TEST_SUITE_P(BackEnds, LayoutsTest, testing::ValuesIn(backends()),
                         [](const auto& back_end) { return back_end.param; });

TEST(Layouts, TheSameLayoutGivesTheSameBits) {
  for (const std::string& backend : backends()) {
    const auto first = train(backend, {.dp = 2}, tiny_settings(), 2).state;
    EXPECT_EQ(first, train(backend, {.dp = 2}, tiny_settings(), 2).state) << backend;
  }
}

TEST(Layouts, BucketsDoNotChangeTheBits) {
  TrainSettings settings = tiny_settings();
  const auto whole = train("cpu", {.dp = 2}, settings, 2).state;
  settings.bucket_elements = 100;
  EXPECT_EQ(whole, train("cpu", {.dp = 2}, settings, 2).state);
}

}  // namespace
}  // namespace concordat::train::test
