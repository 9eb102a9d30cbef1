// 16-bit formats: where ops take them, every back end reads the values that were stored.
#include <array>

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
    for (const std::string& name : backend_names()) {
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
    for (const std::string& name : backend_names()) {
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

TEST(Narrow, TheOptimizerRoundsTheNewMasterIntoTheCopy) {
  const std::int64_t n = 9001;  // several pieces, and a rest
  for (const Dtype dtype : narrow_formats) {
    for (const std::string& name : backend_names()) {
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
