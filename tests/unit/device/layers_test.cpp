// Embedding, norms, RoPE, activations and column sums: `cpu` and `strict` against the reference.
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

constexpr std::int64_t widths[] = {1, 2, 7, 8, 31, 33, 128, 130};
constexpr std::int64_t heights[] = {1, 2, 5, 255, 257, 300};

TEST(Embedding, LooksUpAndAddsGradientsWithAVocabularyOffset) {
  for (std::int64_t width : widths) {
    for (std::int64_t offset : {0, 5}) {
      check_backends(
          to_string(Shape{width, offset}),
          [=](Lab<float>& lab) {
            Tensor table = lab.random({9, width}, 1);
            auto drawn = indices(2, 400, 20);  // most lie outside of the shard
            drawn[0] = drawn[1] = 6;           // a token whose only earlier place is the one before
            Tensor tokens = lab.ints(drawn);
            Tensor x = lab.out({400, width});
            embedding_forward(lab.exec(), x, tokens, table, offset);
            Tensor grad = lab.random({9, width}, 3);
            embedding_backward(lab.exec(), grad, x, tokens, offset);
            Tensor added = lab.random({400, width}, 4);
            embedding_forward(lab.exec(), added, tokens, table, offset, Write::accumulate);
            return Outputs{lab.get(x), lab.get(grad), lab.get(added)};
          },
          0.0);  // copies, and sums in the same order
    }
  }
}

TEST(RmsNorm, ForwardAndBackwardMatchTheReference) {
  // A row's sum in fp32 loses at most width * 2^-24 of itself, here < 1e-5; the weight gradient
  // sums up to 300 rows of terms below 4 in size.
  for (std::int64_t width : widths) {
    for (std::int64_t rows : heights) {
      check_backends(
          to_string(Shape{rows, width}),
          [=](Lab<float>& lab) {
            Tensor x = lab.random({rows, width}, 1);
            Tensor weight = lab.random({width}, 2);
            Tensor y = lab.out({rows, width});
            Tensor inv = lab.out({rows});
            rms_norm_forward(lab.exec(), y, inv, x, weight, 1e-2F);
            Tensor grad_y = lab.random({rows, width}, 3);
            Tensor grad_x = lab.out({rows, width});
            Tensor added = lab.random({rows, width}, 4);
            Tensor grad_weight = lab.random({width}, 5);
            rms_norm_backward_input(lab.exec(), grad_x, grad_y, x, weight, inv);
            rms_norm_backward_input(lab.exec(), added, grad_y, x, weight, inv, Write::accumulate);
            rms_norm_backward_weight(lab.exec(), grad_weight, grad_y, x, inv);
            rms_norm_backward_input(lab.exec(), grad_y, grad_y, x, weight, inv);  // in place
            return Outputs{lab.get(y),     lab.get(inv),         lab.get(grad_x),
                           lab.get(added), lab.get(grad_weight), lab.get(grad_y)};
          },
          3e-5);
    }
  }
}

// A narrow table is widened exactly, whether its rows are set or added.
TEST(Embedding, AddsRowsOfANarrowTable) {
  for (const Dtype dtype : {Dtype::bf16, Dtype::f16}) {
    for (std::int64_t width : {1, 31, 300}) {
      check_backends(
          to_string(Shape{width}),
          [=](Lab<float>& lab) {
            Tensor table = lab.session.backend().allocate(dtype, {9, width});
            copy(lab.exec(), table, lab.random({9, width}, 1));
            Tensor x = lab.random({50, width}, 2);
            embedding_forward(lab.exec(), x, lab.ints(indices(3, 50, 12)), table, 1,
                              Write::accumulate);
            return Outputs{lab.get(x)};
          },
          0.0);
    }
  }
}

TEST(LayerNorm, ForwardAndBackwardMatchTheReference) {
  // As for RMSNorm; the mean and the variance are sums of a row too. A row of one element has no
  // variance: eps alone keeps its scale finite.
  for (std::int64_t width : widths) {
    for (std::int64_t rows : heights) {
      check_backends(
          to_string(Shape{rows, width}),
          [=](Lab<float>& lab) {
            Tensor x = lab.random({rows, width}, 1);
            Tensor weight = lab.random({width}, 2);
            Tensor bias = lab.random({width}, 6);
            Tensor y = lab.out({rows, width});
            Tensor statistics = lab.out({rows, 2});
            layer_norm_forward(lab.exec(), y, statistics, x, weight, bias, 1e-2F);
            Tensor grad_y = lab.random({rows, width}, 3);
            Tensor grad_x = lab.out({rows, width});
            Tensor added = lab.random({rows, width}, 4);
            Tensor grad_weight = lab.random({width}, 5);
            Tensor grad_bias = lab.random({width}, 7);
            layer_norm_backward_input(lab.exec(), grad_x, grad_y, x, weight, statistics);
            layer_norm_backward_input(lab.exec(), added, grad_y, x, weight, statistics,
                                      Write::accumulate);
            layer_norm_backward_weight(lab.exec(), grad_weight, grad_bias, grad_y, x, statistics);
            layer_norm_backward_input(lab.exec(), grad_y, grad_y, x, weight, statistics);
            return Outputs{lab.get(y),     lab.get(statistics),  lab.get(grad_x),
                           lab.get(added), lab.get(grad_weight), lab.get(grad_bias),
                           lab.get(grad_y)};
          },
          3e-5);
    }
  }
}

// Rows far from zero: a variance by E[x^2] - E[x]^2 would have lost all its digits.
TEST(LayerNorm, AMeanThatIsLargeBesideTheVarianceCostsNoDigits) {
  check_backends(
      "shifted",
      [](Lab<float>& lab) {
        std::vector<float> shifted = numbers(1, 4 * 130);
        for (float& each : shifted) each = 300.0F + std::round(each * 64.0F) / 64.0F;
        Tensor y = lab.out({4, 130});
        Tensor statistics = lab.out({4, 2});
        layer_norm_forward(lab.exec(), y, statistics, lab.in({4, 130}, shifted),
                           lab.random({130}, 2), lab.random({130}, 3), 1e-5F);
        return Outputs{lab.get(y)};
      },
      // The mean is a sum of 130 terms near 300: 2^-24 of it a few times over, against a standard
      // deviation of 0.6.
      2e-4);
}

TEST(Gelu, ForwardAndBackwardMatchTheReference) {
  // One exponential of at most 2 ulp, a division and six products. Large arguments saturate.
  for (std::int64_t width : widths) {
    check_backends(
        to_string(Shape{width}),
        [=](Lab<float>& lab) {
          std::vector<float> values = numbers(1, 40 * width);
          for (float& each : values) each *= 12.0F;
          values[0] = 0.0F;
          values.back() = -200.0F;
          values[static_cast<std::size_t>(20 * width)] = 200.0F;
          Tensor x = lab.in({40, width}, values);
          Tensor out = lab.out({40, width});
          gelu_forward(lab.exec(), out, x);
          Tensor grad_out = lab.random({40, width}, 2);
          Tensor grad_x = lab.out({40, width});
          gelu_backward(lab.exec(), grad_x, grad_out, x);
          gelu_backward(lab.exec(), x, grad_out, x);  // in place
          return Outputs{lab.get(out), lab.get(grad_x), lab.get(x)};
        },
        2e-6);
  }
}

TEST(ColumnSums, AreAddedToFromEveryFormatAndFromViews) {
  // Up to 300 terms in [-1, 1), added in fp32 in two levels.
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    for (std::int64_t width : widths) {
      for (std::int64_t rows : heights) {
        check_backends(
            to_string(Shape{rows, width}) + std::string(name_of(dtype)),
            [=](Lab<float>& lab) {
              Tensor all = lab.session.backend().allocate(dtype, {rows, width + 3});
              copy(lab.exec(), all, lab.random({rows, width + 3}, 1));
              Tensor sums = lab.random({width}, 2);
              add_column_sums(lab.exec(), sums, all.slice(1, 2, width));
              return Outputs{lab.get(sums)};
            },
            2e-5);
      }
    }
  }
}

TEST(Rope, MatchesTheReferenceAndTurnsBack) {
  // Angles are made in f64 on both sides; one rounding of sine and cosine each, one product.
  for (std::int64_t dim : {2, 4, 10, 32, 64}) {
    for (std::int64_t heads : {1, 3}) {
      check_backends(
          to_string(Shape{dim, heads}),
          [=](Lab<float>& lab) {
            Tensor x = lab.random({70, heads * dim}, 1);
            std::vector<std::int32_t> at = indices(2, 70, 900);
            at[3] = 0;
            Tensor positions = lab.ints(at);
            Tensor y = lab.out({70, heads * dim});
            rope(lab.exec(), y, x, positions, {.head_dim = dim, .base = 500.0});
            Tensor back = lab.out({70, heads * dim});
            rope(lab.exec(), back, y, positions, {.head_dim = dim, .base = 500.0, .inverse = true});
            expect_near(lab.get(back), lab.get(x), 5e-7, "turned back");
            rope(lab.exec(), x, x, positions, {.head_dim = dim, .base = 500.0});  // in place
            return Outputs{lab.get(y), lab.get(x)};
          },
          5e-7);
    }
  }
}

TEST(Swiglu, MatchesTheReferenceAlsoFarFromZeroAndOnColumns) {
  // exp() within 2 ulp, four further roundings: below 1e-6 of the result.
  for (std::int64_t width : widths) {
    check_backends(
        to_string(Shape{width}),
        [=](Lab<float>& lab) {
          Tensor both = lab.random({40, 2 * width}, 1);
          Tensor factor = lab.in({}, {60.0F});
          scale_by(lab.exec(), both.slice(0, 0, 20), factor);
          Tensor gate = both.slice(1, 0, width);
          Tensor up = both.slice(1, width, width);
          Tensor out = lab.out({40, width});
          swiglu_forward(lab.exec(), out, gate, up);
          Tensor grad_out = lab.random({40, width}, 2);
          Tensor grads = lab.out({40, 2 * width});
          swiglu_backward(lab.exec(), grads.slice(1, 0, width), grads.slice(1, width, width),
                          grad_out, gate, up);
          swiglu_backward(lab.exec(), gate, up, grad_out, gate, up);  // in place
          return Outputs{lab.get(out), lab.get(grads), lab.get(both)};
        },
        2e-6);
  }
}

}  // namespace
}  // namespace concordat::device::testing
