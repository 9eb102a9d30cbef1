// Products with an activation or a bias's gradient: what the ops that they stand for give.
#include <array>

#include "device_testing.hpp"

namespace concordat::device::testing {
namespace {

struct Case {
  std::int64_t m, n, k;
  std::int64_t margin;  ///< columns of a wider matrix that the outputs are part of
  bool bias;
};
// With rows that are multiples of 8 long, as cuBLASLt's epilogues want them, and without.
constexpr std::array cases{Case{5, 16, 9, 0, true}, Case{33, 24, 17, 8, true},
                           Case{7, 13, 5, 0, true}, Case{6, 16, 8, 3, false},
                           Case{1, 8, 1, 0, false}};
constexpr std::array formats{Dtype::f32, Dtype::bf16, Dtype::f16};

std::string text(const Case& c, Dtype dtype) {
  return to_string(Shape{c.m, c.n, c.k, c.margin}) + " " + std::string(name_of(dtype));
}

Tensor kept(Lab<float>& lab, const Tensor& wide, Dtype dtype) {
  if (dtype == Dtype::f32) return wide;
  Tensor narrow = lab.session.backend().allocate(dtype, wide.shape());
  copy(lab.exec(), narrow, wide);
  return narrow;
}

Tensor output(Lab<float>& lab, const Case& c, Dtype dtype) {
  const Tensor whole = lab.session.backend().allocate(dtype, {c.m, c.n + c.margin});
  fill(lab.exec(), whole, std::nan(""));
  return whole.slice(1, 0, c.n);
}

std::vector<float> values(Lab<float>& lab, const Tensor& t) {
  Tensor wide = lab.out(t.shape());
  copy(lab.exec(), wide, t);
  return lab.get(wide);
}

/// Sums of k products below 1 in another order, and a result and perhaps a bias that are rounded.
double tolerance(const Case& c, Dtype dtype) {
  const double sums = static_cast<double>(c.k) * 0x1p-20;
  return sums + (dtype == Dtype::f32 ? 0.0 : dtype == Dtype::bf16 ? 3 * 0x1p-8 : 3 * 0x1p-11);
}

template <typename Program>
void check(const Program& program) {
  for (const Dtype dtype : formats) {
    for (const Case& c : cases) {
      check_backends(
          text(c, dtype), [&](Lab<float>& lab) { return program(lab, c, dtype); },
          tolerance(c, dtype));
    }
  }
}

TEST(FusedProducts, TheActivationIsThatOfTheProduct) {
  check([](Lab<float>& lab, const Case& c, Dtype dtype) {
    const Parameter weight(kept(lab, lab.random({c.n, c.k}, 2), dtype));
    const Tensor x = output(lab, c, dtype);
    const Tensor activation = output(lab, c, dtype);
    matmul_gelu(lab.exec(), x, activation, kept(lab, lab.random({c.m, c.k}, 1), dtype), weight,
                {.transpose_b = true, .bias = c.bias ? lab.random({c.n}, 3) : Tensor()});
    return Outputs{values(lab, x), values(lab, activation)};
  });
}

TEST(FusedProducts, TheGradientGoesThroughTheActivation) {
  check([](Lab<float>& lab, const Case& c, Dtype dtype) {
    const Parameter weight(kept(lab, lab.random({c.k, c.n}, 2), dtype));
    const Tensor x = output(lab, c, dtype);
    copy(lab.exec(), x, lab.random({c.m, c.n}, 3));
    const Tensor grad_x = output(lab, c, dtype);
    const Tensor work = dtype == Dtype::f32 ? grad_x : lab.out({c.m, c.n});
    matmul_gelu_backward(lab.exec(), grad_x, work, kept(lab, lab.random({c.m, c.k}, 1), dtype),
                         weight, x);
    return Outputs{values(lab, grad_x)};
  });
}

TEST(FusedProducts, TheBiasesGradientIsAddedToBesideTheWeights) {
  for (const float beta : {0.0F, 1.0F}) {
    check([beta](Lab<float>& lab, const Case& c, Dtype dtype) {
      const Tensor grad_y = kept(lab, lab.random({c.k, c.m}, 1), dtype);
      const Tensor x = kept(lab, lab.random({c.k, c.n}, 2), dtype);
      const Tensor grad_weight = output(lab, c, Dtype::f32);
      if (beta != 0.0F) copy(lab.exec(), grad_weight, lab.random({c.m, c.n}, 3));
      const Tensor grad_bias = lab.random({c.m}, 4);
      matmul_row_sums(lab.exec(), grad_weight, grad_bias, grad_y, x,
                      {.transpose_a = true, .beta = beta});
      return Outputs{values(lab, grad_weight), lab.get(grad_bias)};
    });
  }
}

TEST(FusedProducts, WrongShapesAreBugs) {
  for (const std::string& name : tested_backends()) {
    Lab<float> lab(name);
    const Tensor a = lab.random({4, 8}, 1);
    const Parameter b(lab.random({8, 8}, 2));
    const Tensor c = lab.out({4, 8});
    EXPECT_THROW(matmul_gelu(lab.exec(), c, lab.out({4, 7}), a, b, {}), Bug);
    EXPECT_THROW(matmul_gelu(lab.exec(), lab.out({4, 7}), lab.out({4, 7}), a, b, {}), Bug);
    EXPECT_THROW(matmul_gelu(lab.exec(), c, lab.out({4, 8}), a, b, {.beta = 1.0F}), Bug);
    EXPECT_THROW(matmul_row_sums(lab.exec(), c, lab.out({8}), a, b.value(), {}), Bug);
  }
}

}  // namespace
}  // namespace concordat::device::testing
