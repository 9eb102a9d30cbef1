#include "concordat/exact/outer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "concordat/exact/errors.hpp"
#include "support/expect_error.hpp"

namespace concordat::exact {
namespace {

/// Five steps over three elements, in double: what each kind is defined to do.
struct Reference {
  double phi, m = 0, v = 0;
  void step(const OuterSettings& s, double d) {
    const double eta = s.eta, mu = s.mu, b2 = s.b2, tau = s.tau;
    switch (s.kind) {
      case OuterKind::fedavg:
        phi -= eta * d;
        break;
      case OuterKind::fedavgm:
        m = mu * m + d;
        phi -= eta * m;
        break;
      case OuterKind::nesterov:
        m = mu * m + d;
        phi -= eta * (d + mu * m);
        break;
      case OuterKind::fedadam:
        m = mu * m + (1 - mu) * d;
        v = b2 * v + (1 - b2) * d * d;
        phi -= eta * m / (std::sqrt(v) + tau);
        break;
      case OuterKind::fedyogi:
        m = mu * m + (1 - mu) * d;
        v -= (1 - b2) * d * d * ((v > d * d) - (v < d * d));
        phi -= eta * m / (std::sqrt(v) + tau);
        break;
    }
  }
};

TEST(OuterStep, FollowsTheDefinitionOfEachKind) {
  for (const OuterKind kind : {OuterKind::fedavg, OuterKind::fedavgm, OuterKind::nesterov,
                               OuterKind::fedadam, OuterKind::fedyogi}) {
    const OuterSettings s{.kind = kind, .eta = 0.1F, .mu = 0.9F, .b2 = 0.75F, .tau = 1e-3F};
    std::vector<float> phi{1.0F, -2.0F, 0.5F}, m(3, 0.0F), v(3, 0.0F), d(3);
    std::vector<Reference> reference{{1.0}, {-2.0}, {0.5}};
    for (int step = 0; step < 5; ++step) {
      for (std::size_t i = 0; i < 3; ++i) {
        d[i] = 0.125F * static_cast<float>(static_cast<int>(i) - step) + 0.01F;
        reference[i].step(s, d[i]);
      }
      outer_step(s, phi, d, {m, v});
    }
    // Five steps of fp32 rounding on values near 1.
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(phi[i], reference[i].phi, 2e-6) << name_of(kind) << " element " << i;
    }
  }
}

TEST(OuterStep, PlainAveragingWithRateOneGivesTheMeanOfTheSites) {
  std::vector<float> phi{3.0F, -1.0F};
  const std::vector<float> d{0.5F, -0.25F};
  outer_step({.kind = OuterKind::fedavg, .eta = 1.0F}, phi, d, {});
  EXPECT_EQ(phi, (std::vector<float>{2.5F, -0.75F}));
}

TEST(OuterStep, DoesNotDependOnHowTheElementsAreCut) {
  constexpr std::size_t n = 1001;
  std::vector<float> d(n), one(n), two(n), m1(n, 0.1F), m2(n, 0.1F), v1(n, 0.2F), v2(n, 0.2F);
  for (std::size_t i = 0; i < n; ++i) {
    d[i] = std::sin(static_cast<float>(i));
    one[i] = two[i] = std::cos(static_cast<float>(i));
  }
  const OuterSettings s{.kind = OuterKind::fedyogi};
  outer_step(s, one, d, {m1, v1});
  for (std::size_t begin = 0; begin < n; begin += 7) {
    const std::size_t k = std::min<std::size_t>(7, n - begin);
    outer_step(s, std::span(two).subspan(begin, k), std::span(d).subspan(begin, k),
               {std::span(m2).subspan(begin, k), std::span(v2).subspan(begin, k)});
  }
  EXPECT_EQ(one, two);
  EXPECT_EQ(m1, m2);
  EXPECT_EQ(v1, v2);
}

TEST(OuterStep, UpdateAndFollowAreDifferences) {
  const std::vector<float> base{1.0F, 2.0F}, phi_new{1.5F, 1.0F};
  std::vector<float> theta{0.75F, 2.5F}, update(2);
  make_update(base, theta, update);
  EXPECT_EQ(update, (std::vector<float>{0.25F, -0.5F}));
  follow_shared_model(theta, phi_new, base);
  EXPECT_EQ(theta, (std::vector<float>{1.25F, 1.5F}));
}

TEST(OuterSettings, AreCheckedAndNamed) {
  EXPECT_EQ(outer_kind_from("fedavg", "agreement"), OuterKind::fedavg);
  EXPECT_EQ(name_of(OuterKind::nesterov), "nesterov");
  EXPECT_THROW(outer_kind_from("lamb", "agreement"), Error);
  EXPECT_ERROR_SAYS(check_settings({.eta = 0.0F}), errors::setting, "outer.rate");
  EXPECT_ERROR_SAYS(check_settings({.mu = 1.0F}), errors::setting, "outer.momentum");
  EXPECT_ERROR_SAYS(check_settings({.kind = OuterKind::fedadam, .b2 = 1.0F}), errors::setting,
                    "outer.beta2");
  EXPECT_ERROR_SAYS(check_settings({.kind = OuterKind::fedyogi, .tau = 0.0F}), errors::setting,
                    "outer.epsilon");
  EXPECT_NO_THROW(check_settings({.kind = OuterKind::fedavg, .eta = 1.0F, .mu = 7.0F}));
  std::vector<float> phi(2), d(2);
  EXPECT_THROW(outer_step({}, phi, d, {}), Bug) << "nesterov without its moment";
}

}  // namespace
}  // namespace concordat::exact
