#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

TEST(Elementwise, AddScaleAndSumMatchTheReference) {
  // One rounding per element, except the sums: f64 inside, rounded once.
  for (std::int64_t n : {1, 7, 8, 31, 4096, 4097, 70001}) {
    check_backends(
        "n " + std::to_string(n),
        [n](Lab<float>& lab) {
          Tensor a = lab.random({n}, 1);
          Tensor b = lab.random({n}, 2);
          Tensor out = lab.out({n});
          add(lab.exec(), out, a, b);
          Tensor factor = lab.in({}, {0.75F});
          scale_by(lab.exec(), a, factor);
          Tensor total = lab.out({});
          Tensor squares = lab.out({});
          sum(lab.exec(), total, b);
          sum_squares(lab.exec(), squares, b);
          sum_squares(lab.exec(), squares, b, Write::accumulate);
          return Outputs{lab.get(out), lab.get(a), lab.get(total), lab.get(squares)};
        },
        1e-6);
  }
}

TEST(Elementwise, AddInPlaceOnColumnsOfAMatrix) {
  check_backends(
      "columns",
      [](Lab<float>& lab) {
        Tensor all = lab.random({5, 12}, 1);
        Tensor left = all.slice(1, 0, 4);
        add(lab.exec(), left, left, all.slice(1, 8, 4));
        return Outputs{lab.get(all), lab.get(left)};
      },
      0.0);
}

TEST(Elementwise, ScalesColumnsOfAMatrix) {
  check_backends(
      "columns",
      [](Lab<float>& lab) {
        Tensor all = lab.random({5, 12}, 1);
        scale_by(lab.exec(), all.slice(1, 3, 4), lab.in({}, {0.75F}));
        return Outputs{lab.get(all)};
      },
      0.0);
}

template <typename T>
void expect_filled(const std::string& name) {
  Lab<float> lab(name);
  const Tensor t = lab.session.backend().allocate(dtype_of<T>, {19});
  fill(lab.exec(), t, 7.0);
  EXPECT_EQ(read_back_all<T>(lab.exec(), t).get(), std::vector<T>(19, T{7})) << name;
}

TEST(Elementwise, FillsEveryKindOfNumber) {
  for (const std::string& name : tested_backends()) {
    expect_filled<float>(name);
    expect_filled<double>(name);
    expect_filled<std::int32_t>(name);
    expect_filled<std::int64_t>(name);
    expect_filled<std::uint8_t>(name);
    expect_filled<std::uint16_t>(name);
    expect_filled<std::uint32_t>(name);
  }
}

TEST(Elementwise, CopyTransposesGathersAndFills) {
  check_backends(
      "copy",
      [](Lab<float>& lab) {
        Tensor x = lab.random({3, 5}, 1);
        Tensor turned = lab.out({5, 3});
        copy(lab.exec(), turned, x.transpose(0, 1));
        Tensor part = lab.out({3, 2});
        copy(lab.exec(), part, x.slice(1, 2, 2));
        fill(lab.exec(), x.slice(1, 0, 1), -2.5);
        return Outputs{lab.get(turned), lab.get(part), lab.get(x)};
      },
      0.0);
}

TEST(Elementwise, CastsRoundToNearestEvenAndKeepNanAndInfinity) {
  std::vector<float> values = numbers(3, 5000);
  for (float each : {0.0F, -0.0F, 1.00390625F, 1.01171875F, 3.4e38F, 1e-40F, 6e-8F, 2.9e-8F,
                     65504.0F, 65519.9F, 65520.0F, 1e6F, INFINITY, -INFINITY}) {
    values.push_back(each);
  }
  values.push_back(std::nanf(""));
  auto count = static_cast<std::int64_t>(values.size());
  for (Dtype narrow : {Dtype::bf16, Dtype::f16}) {
    Outputs wide;
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      Tensor x = lab.in({count}, values);
      Tensor stored = lab.session.backend().allocate(narrow, {count});
      Tensor back = lab.out({count});
      copy(lab.exec(), stored, x);
      copy(lab.exec(), back, stored);
      wide.push_back(lab.get(back));
      EXPECT_TRUE(std::isnan(wide.back().back())) << name;
      wide.back().pop_back();
      EXPECT_EQ(wide.back(), wide.front()) << name;
    }
    // Half a unit in the last place: 8 bits of significand, or 11.
    double half_ulp = narrow == Dtype::bf16 ? 1.0 / 256 : 1.0 / 2048;
    for (std::size_t i = 0; i < 5000; ++i) {
      EXPECT_NEAR(wide.front()[i], values[i], half_ulp * std::fabs(values[i]) + 3e-8);
    }
  }
  Lab<float> lab("reference");  // ties: 1 + 2^-8 lies between 1 and 1 + 2^-7, even is 1
  Tensor stored = lab.session.backend().allocate(Dtype::bf16, {2});
  Tensor back = lab.out({2});
  copy(lab.exec(), stored, lab.in({2}, {1.00390625F, 1.01171875F}));
  copy(lab.exec(), back, stored);
  EXPECT_EQ(lab.get(back), (std::vector<float>{1.0F, 1.015625F}));
}

TEST(Elementwise, SumDependsOnTheElementCountAlone) {
  // The same bits whatever the threads: blocks of fixed size, added in order.
  Lab<float> lab(tested_backends().back());
  Tensor x = lab.random({123457}, 4);
  Tensor one = lab.session.backend().allocate(Dtype::f64, {});
  sum_squares(lab.exec(), one, x);
  double first = read_back<double>(lab.exec(), one).get();
  sum_squares(lab.exec(), one, x);
  EXPECT_EQ(first, read_back<double>(lab.exec(), one).get());
  Lab<float> oracle("reference");
  Tensor y = oracle.random({123457}, 4);
  Tensor two = oracle.session.backend().allocate(Dtype::f64, {});
  sum_squares(oracle.exec(), two, y);
  // f64 sums of 1.2e5 terms in two orders: 1e5 * 2^-53 is 1e-11 at the very worst.
  EXPECT_NEAR(first / read_back<double>(oracle.exec(), two).get(), 1.0, 1e-11);
}

TEST(Elementwise, WrongShapesAreBugs) {
  Lab<float> lab("reference");
  Tensor a = lab.out({3});
  EXPECT_THROW(add(lab.exec(), a, a, lab.out({4})), Bug);
  EXPECT_THROW(copy(lab.exec(), a, lab.out({1, 3})), Bug);
  EXPECT_THROW(copy(lab.exec(), a, lab.ints({1, 2, 3})), Bug);
  EXPECT_THROW(scale_by(lab.exec(), a, a), Bug);
}

}  // namespace
}  // namespace concordat::device::testing
