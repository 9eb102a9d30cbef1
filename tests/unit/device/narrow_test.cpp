// 16-bit formats: where ops take them, every back end reads the values that were stored.
#include <array>
#include <cmath>

#include "device_testing.hpp"

namespace concordat::device::testing {
namespace {

constexpr std::array narrow_formats{Dtype::bf16, Dtype::f16};

Tensor stored(Lab<float>& lab, const Tensor& wide, Dtype dtype) {
  Tensor narrow = lab.session.backend().allocate(dtype, wide.shape());
  copy(lab.exec(), narrow, wide);
  return narrow;
}

/// What the format keeps of the values.
Tensor rounded(Lab<float>& lab, const Tensor& wide, Dtype dtype) {
  Tensor again = lab.out(wide.shape());
  copy(lab.exec(), again, stored(lab, wide, dtype));
  return again;
}

TEST(Narrow, TablesAreLookedUpInTheFormatTheyAreKeptIn) {
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      const Tensor table = lab.random({7, 21}, 3);
      const Tensor tokens = lab.ints({0, 6, 2, 9, 2});  // 9 is another rank's
      Tensor x = lab.out({5, 21});
      Tensor expected = lab.out({5, 21});
      embedding_forward(lab.exec(), x, tokens, stored(lab, table, dtype), 0);
      embedding_forward(lab.exec(), expected, tokens, rounded(lab, table, dtype), 0);
      EXPECT_EQ(lab.get(x), lab.get(expected)) << name;
      EXPECT_NE(lab.get(x), lab.get(lab.random({5, 21}, 3)));
    }
  }
}

TEST(Narrow, ProductsOfStoredOperandsAreThoseOfTheirValues) {
  // Exact products of 16-bit numbers fit f32, so what is left is the order of f32 sums of 37
  // terms below 1: under 37 * 2^-24 * 37.
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      const Tensor a = lab.random({6, 37}, 1);
      const Tensor b = lab.random({9, 37}, 2);
      Tensor c = lab.out({6, 9});
      Tensor expected = lab.out({6, 9});
      matmul(lab.exec(), c, stored(lab, a, dtype), stored(lab, b, dtype), {.transpose_b = true});
      matmul(lab.exec(), expected, rounded(lab, a, dtype), rounded(lab, b, dtype),
             {.transpose_b = true});
      expect_near(lab.get(c), lab.get(expected), 1e-4, name);
      // Mixed: a wide operand stays as it is.
      matmul(lab.exec(), c, a, stored(lab, b, dtype), {.transpose_b = true});
      matmul(lab.exec(), expected, a, rounded(lab, b, dtype), {.transpose_b = true});
      expect_near(lab.get(c), lab.get(expected), 1e-4, name + ", mixed");
    }
  }
}

struct ProductCase {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  float alpha, beta;
  bool residual;
};

// What the fast products split: blocks of 32 with their rests, panels of depth and of columns, and
// the rows that a thread takes at a time.
constexpr ProductCase product_cases[] = {
    {1, 1, 1, false, false, 1.0F, 0.0F, false},     {33, 31, 65, false, true, 1.0F, 0.0F, true},
    {32, 64, 96, true, false, 1.0F, 1.0F, false},   {47, 95, 33, true, true, 0.5F, -2.0F, true},
    {3, 4100, 2100, false, true, 1.0F, 0.0F, true}, {700, 40, 1100, true, false, 1.0F, 1.0F, false},
    {65, 17, 4099, false, false, 2.0F, 0.0F, false}};

TEST(Narrow, ProductsOfEverySplitAreThoseOfTheirValues) {
  for (const ProductCase& each : product_cases) {
    const auto product = [&](const std::string& name, const Tensor& c, Lab<float>& lab) {
      const auto [m, n, k, ta, tb, alpha, beta, adds] = each;
      const Tensor a = lab.random(ta ? Shape{k, m} : Shape{m, k}, 1);
      const Tensor b = lab.random(tb ? Shape{n, k} : Shape{k, n}, 2);
      const Tensor residual = adds ? lab.random({m, n}, 4) : Tensor();
      const bool narrow = name == "cpu";
      matmul(lab.exec(), c, narrow ? stored(lab, a, Dtype::bf16) : rounded(lab, a, Dtype::bf16),
             narrow ? stored(lab, b, Dtype::bf16) : rounded(lab, b, Dtype::bf16),
             {.transpose_a = ta,
              .transpose_b = tb,
              .alpha = alpha,
              .beta = beta,
              .bias = adds ? lab.random({n}, 7) : Tensor(),
              .residual = residual});
      return lab.get(c);
    };
    Lab<float> plain("reference");
    Lab<float> fast("cpu");
    const auto expected = product("reference", plain.random({each.m, each.n}, 3), plain);
    // Sums of k products below 1 in another order: see matmul_test.cpp.
    const double k = static_cast<double>(each.k);
    expect_near(product("cpu", fast.random({each.m, each.n}, 3), fast), expected,
                4.0 * std::sqrt(k) * 0x1p-24 * k + 1e-6, to_string(Shape{each.m, each.n, each.k}));
    // Columns of a wider matrix.
    Tensor wide = fast.random({each.m, each.n + 5}, 6);
    const Tensor middle = wide.slice(1, 3, each.n);
    copy(fast.exec(), middle, fast.random({each.m, each.n}, 3));
    expect_near(product("cpu", middle, fast), expected, 4.0 * std::sqrt(k) * 0x1p-24 * k + 1e-6,
                "columns of " + to_string(Shape{each.m, each.n, each.k}));
  }
}

TEST(Narrow, OutputsAreTheRoundedOnesOfF32) {
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      const std::int64_t rows = 5;
      const std::int64_t columns = 71;
      const auto narrow = [&](std::int64_t width) {
        return lab.session.backend().allocate(dtype, {rows, width});
      };
      const auto check = [&](const Tensor& found, const Tensor& wide, const std::string& what) {
        Tensor values = lab.out({rows, columns});
        copy(lab.exec(), values, found);
        EXPECT_EQ(lab.get(values), lab.get(rounded(lab, wide, dtype))) << name << ", " << what;
      };
      const Tensor x = lab.random({rows, columns}, 1);
      const Tensor y = lab.random({rows, columns}, 2);
      const Tensor g = lab.random({rows, columns}, 3);
      const Tensor weight = lab.random({columns}, 4);
      const Tensor inv = lab.out({rows});
      Tensor wide = lab.out({rows, columns});
      Tensor other = lab.out({rows, columns});
      Tensor low = narrow(columns);
      rms_norm_forward(lab.exec(), wide, inv, x, weight, 1e-5F);
      rms_norm_forward(lab.exec(), low, inv, x, weight, 1e-5F);
      check(low, wide, "norm");
      swiglu_forward(lab.exec(), wide, x, y);
      swiglu_forward(lab.exec(), low, x, y);
      check(low, wide, "activation");
      // Columns of one wider matrix, as the layer has them.
      Tensor both = narrow(2 * columns);
      swiglu_backward(lab.exec(), wide, other, g, x, y);
      swiglu_backward(lab.exec(), both.slice(1, 0, columns), both.slice(1, columns, columns), g, x,
                      y);
      for (int part = 0; part < 2; ++part) {
        copy(lab.exec(), low, both.slice(1, part * columns, columns));
        check(low, part == 0 ? wide : other, "gradient of the activation");
      }
      const Tensor bias = lab.random({columns}, 5);
      const Tensor statistics = lab.out({rows, 2});
      layer_norm_forward(lab.exec(), wide, statistics, x, weight, bias, 1e-5F);
      layer_norm_forward(lab.exec(), low, statistics, x, weight, bias, 1e-5F);
      check(low, wide, "layer norm");
      gelu_forward(lab.exec(), wide, x);
      gelu_forward(lab.exec(), low, x);
      check(low, wide, "gelu");
      gelu_backward(lab.exec(), wide, g, x);
      gelu_backward(lab.exec(), low, g, x);
      check(low, wide, "gradient of gelu");
      const Tensor targets = lab.ints({3, -1, 70, 0, 64});  // 70 is padding
      const VocabShard shard{.begin = 0, .valid = 70};
      const Tensor top = lab.out({rows});
      const Tensor sum = lab.out({rows});
      const Tensor at = lab.out({rows});
      cross_entropy_max(lab.exec(), top, x, shard);
      cross_entropy_sum(lab.exec(), sum, at, x, top, targets, shard);
      const Tensor scale = lab.in({}, {0.25F});
      cross_entropy_gradient(lab.exec(), wide, x, top, sum, targets, scale, shard);
      cross_entropy_gradient(lab.exec(), low, x, top, sum, targets, scale, shard);
      check(low, wide, "gradient of the loss");
    }
  }
}

TEST(Narrow, ActivationsOfStoredInputsAreThoseOfTheirValues) {
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      const Shape shape{5, 71};
      const Tensor x = lab.random(shape, 1);
      const Tensor y = lab.random(shape, 2);
      const Tensor g = lab.random(shape, 3);
      Tensor wide = lab.out(shape);
      Tensor other = lab.out(shape);
      const auto check = [&](const Tensor& found, const Tensor& expected, const char* what) {
        Tensor values = lab.out(shape);
        copy(lab.exec(), values, found);
        EXPECT_EQ(lab.get(values), lab.get(rounded(lab, expected, dtype))) << name << ", " << what;
      };
      const Tensor low = lab.session.backend().allocate(dtype, shape);
      const Tensor low_other = lab.session.backend().allocate(dtype, shape);
      const Tensor x_kept = stored(lab, x, dtype);
      const Tensor y_kept = stored(lab, y, dtype);
      const Tensor x_values = rounded(lab, x, dtype);
      const Tensor y_values = rounded(lab, y, dtype);
      swiglu_forward(lab.exec(), wide, x_values, y_values);
      swiglu_forward(lab.exec(), low, x_kept, y_kept);
      check(low, wide, "swiglu");
      swiglu_forward(lab.exec(), other, x_kept, y_kept);  // into f32
      EXPECT_EQ(lab.get(other), lab.get(wide)) << name;
      swiglu_backward(lab.exec(), wide, other, g, x_values, y_values);
      swiglu_backward(lab.exec(), low, low_other, g, x_kept, y_kept);
      check(low, wide, "gradient of the gate");
      check(low_other, other, "gradient of up");
      gelu_forward(lab.exec(), wide, x_values);
      gelu_forward(lab.exec(), low, x_kept);
      check(low, wide, "gelu");
      gelu_backward(lab.exec(), wide, g, x_values);
      gelu_backward(lab.exec(), low, g, x_kept);
      check(low, wide, "gradient of gelu");
    }
  }
}

TEST(Narrow, ProductsAreRoundedAsTheirF32ResultsWouldBe) {
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      for (const std::int64_t depth : {37, 2100}) {  // the second is summed in two panels in f32
        const Tensor a = stored(lab, lab.random({37, depth}, 1), dtype);
        const Tensor b = stored(lab, lab.random({70, depth}, 2), dtype);
        const Tensor bias = lab.random({70}, 3);
        Tensor wide = lab.out({37, 70});
        const Tensor low = lab.session.backend().allocate(dtype, {37, 70});
        // Of several panels the first one takes the bias: another order of additions.
        const MatmulOptions options{.transpose_b = true, .bias = depth < 100 ? bias : Tensor()};
        matmul(lab.exec(), wide, a, b, options);
        matmul(lab.exec(), low, a, b, options);
        Tensor values = lab.out({37, 70});
        copy(lab.exec(), values, low);
        EXPECT_EQ(lab.get(values), lab.get(rounded(lab, wide, dtype))) << name << ", " << depth;
      }
    }
  }
}

TEST(Narrow, TheOptimizerRoundsTheNewMasterIntoTheCopy) {
  const std::int64_t n = 9001;  // several pieces, and a rest
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : tested_backends()) {
      Lab<float> lab(name);
      AdamwState state{lab.random({n}, 1), lab.in({n}, std::vector<float>(n, 0.0F)),
                       lab.in({n}, std::vector<float>(n, 0.0F)),
                       lab.session.backend().allocate(dtype, {n})};
      const auto scalar = [&](float value) { return lab.in({}, {value}); };
      adamw(lab.exec(), state, lab.random({n}, 2),
            {scalar(1e-2F), scalar(0.1F), scalar(0.05F), scalar(1.0F), scalar(0.0F)}, {});
      Tensor copied = lab.out({n});
      copy(lab.exec(), copied, state.compute);
      EXPECT_EQ(lab.get(copied), lab.get(rounded(lab, state.master, dtype))) << name;
      EXPECT_NE(lab.get(state.master), lab.get(lab.random({n}, 1)));
    }
  }
}

TEST(Narrow, TheReferenceMultipliesInWhatItCanWiden) {
  for (const char* name : {"reference", "strict"}) {
    Lab<float> lab(name);
    EXPECT_TRUE(lab.session.backend().multiplies(Dtype::bf16));
    EXPECT_TRUE(lab.session.backend().multiplies(Dtype::f16));
    EXPECT_FALSE(lab.session.backend().multiplies(Dtype::i32));
  }
}

}  // namespace
}  // namespace concordat::device::testing
