#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

struct Size {
  std::int64_t m, n, k;
};

constexpr Size sizes[] = {{1, 1, 1},    {1, 5, 3},     {3, 1, 7},      {2, 3, 1},    {17, 19, 23},
                          {64, 64, 64}, {33, 257, 65}, {130, 96, 128}, {5, 384, 200}};

// Products of depth k of numbers in [-1, 1): |c| <= k, and the error of an fp32 sum in any order
// is at most k * 2^-24 * sum |a b| <= k^2 * 2^-24; random signs make it about k * 2^-24 * sqrt(k).
double tolerance(std::int64_t k) {
  return 4.0 * std::sqrt(static_cast<double>(k)) * 0x1p-24 * static_cast<double>(k) + 1e-7;
}

TEST(Matmul, EveryTransposeMatchesTheReference) {
  for (Size s : sizes) {
    for (int mode = 0; mode < 4; ++mode) {
      bool ta = (mode & 1) != 0;
      bool tb = (mode & 2) != 0;
      check_backends(
          to_string(Shape{s.m, s.n, s.k, mode}),
          [=](Lab<float>& lab) {
            Tensor a = lab.random(ta ? Shape{s.k, s.m} : Shape{s.m, s.k}, 1);
            Tensor b = lab.random(tb ? Shape{s.n, s.k} : Shape{s.k, s.n}, 2);
            Tensor c = lab.out({s.m, s.n});
            matmul(lab.exec(), c, a, b, {.transpose_a = ta, .transpose_b = tb});
            return Outputs{lab.get(c)};
          },
          tolerance(s.k));
    }
  }
}

TEST(Matmul, AlphaBetaBiasAndResidual) {
  for (Size s : sizes) {
    check_backends(
        to_string(Shape{s.m, s.n, s.k}),
        [=](Lab<float>& lab) {
          Tensor a = lab.random({s.m, s.k}, 1);
          Tensor b = lab.random({s.k, s.n}, 2);
          Tensor c = lab.random({s.m, s.n}, 3);
          Tensor d = lab.out({s.m, s.n});
          Tensor residual = lab.random({s.m, s.n}, 4);
          Tensor bias = lab.random({s.n}, 5);
          matmul(lab.exec(), c, a, b,
                 {.alpha = 0.5F, .beta = -2.0F, .bias = bias, .residual = residual});
          matmul(lab.exec(), d, a, b, {.alpha = 0.25F, .residual = residual});
          Tensor both = lab.out({s.m, s.n});
          Tensor biased = lab.out({s.m, s.n});
          matmul(lab.exec(), both, a, b, {.bias = bias, .residual = residual});
          matmul(lab.exec(), biased, a, b, {.bias = bias});
          return Outputs{lab.get(c), lab.get(d), lab.get(both), lab.get(biased)};
        },
        tolerance(s.k));
  }
}

TEST(Matmul, AProductOfDepthZeroIsZeroAndWhatIsAdded) {
  for (const float beta : {0.0F, 0.5F}) {
    check_backends(
        "depth 0",
        [beta](Lab<float>& lab) {
          const Tensor a = lab.session.backend().allocate(Dtype::f32, {3, 0});
          const Tensor b = lab.session.backend().allocate(Dtype::f32, {0, 9});
          const Tensor plain = lab.random({3, 9}, 1);
          const Tensor more = lab.random({3, 9}, 2);
          matmul(lab.exec(), plain, a, b, {.beta = beta});
          matmul(lab.exec(), more, a, b,
                 {.beta = beta, .bias = lab.random({9}, 3), .residual = lab.random({3, 9}, 4)});
          return Outputs{lab.get(plain), lab.get(more)};
        },
        1e-6);
  }
}

TEST(Matmul, ReadsAndWritesColumnsOfWiderMatrices) {
  check_backends(
      "columns",
      [](Lab<float>& lab) {
        Tensor a = lab.random({9, 40}, 1);
        Tensor b = lab.random({11, 50}, 2);
        Tensor c = lab.random({9, 30}, 3);
        matmul(lab.exec(), c.slice(1, 7, 11), a.slice(1, 5, 20), b.slice(1, 30, 20),
               {.transpose_b = true});
        matmul(lab.exec(), c.slice(1, 0, 3).slice(0, 1, 5), a.slice(1, 2, 5), a.slice(1, 8, 3),
               {.transpose_a = true, .beta = 1.0F});
        return Outputs{lab.get(c)};
      },
      tolerance(20));
}

TEST(Matmul, AWeightIsReadAnewAfterBump) {
  check_backends(
      "weight",
      [](Lab<float>& lab) {
        Parameter weight(lab.random({24, 16}, 1));
        Tensor x = lab.random({10, 16}, 2);
        Outputs seen;
        for (int version = 0; version < 3; ++version) {
          Tensor y = lab.out({10, 24});
          matmul(lab.exec(), y, x, weight, {.transpose_b = true});
          Tensor back = lab.out({10, 16});
          matmul(lab.exec(), back, y, weight);
          seen.push_back(lab.get(y));
          seen.push_back(lab.get(back));
          add(lab.exec(), weight.value(), weight.value(), weight.value());
          weight.bump();
        }
        return seen;
      },
      tolerance(24) * 16);
}

TEST(Matmul, SixteenBitOperandsAreWidened) {
  check_backends(
      "bf16",
      [](Lab<float>& lab) {
        Tensor a = lab.session.backend().allocate(Dtype::bf16, {6, 20});
        Tensor b = lab.session.backend().allocate(Dtype::bf16, {20, 9});
        copy(lab.exec(), a, lab.random({6, 20}, 1));
        copy(lab.exec(), b, lab.random({20, 9}, 2));
        Tensor c = lab.out({6, 9});
        matmul(lab.exec(), c, a, b);
        return Outputs{lab.get(c)};
      },
      tolerance(20));
}

TEST(Matmul, WrongShapesAreBugs) {
  Lab<float> lab("reference");
  Tensor a = lab.out({2, 3});
  Tensor b = lab.out({4, 5});
  EXPECT_THROW(matmul(lab.exec(), lab.out({2, 5}), a, b), Bug);
  EXPECT_THROW(matmul(lab.exec(), lab.out({2, 4}), a, b, {.transpose_b = true}), Bug);
  EXPECT_THROW(
      matmul(lab.exec(), lab.out({3, 3}), a, a, {.transpose_a = true, .bias = lab.out({2})}), Bug);
}

}  // namespace
}  // namespace concordat::device::testing
