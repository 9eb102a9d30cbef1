// Every backward op of the reference, held to central differences of its forward in f64.
//
// With a step of 1e-5 the truncation error is about 1e-10 times the third derivative and the
// rounding error 1e-16 / 1e-5 = 1e-11 times the sum's size; 1e-7 leaves room for both.
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

using Values = std::vector<double>;
using Forward = std::function<Tensor(Lab<double>&, const std::vector<Tensor>&)>;
using Backward = std::function<std::vector<Tensor>(Lab<double>&, const std::vector<Tensor>&,
                                                   const Tensor& grad_out)>;

void check_gradients(const std::vector<Shape>& shapes, const Forward& forward,
                     const Backward& backward) {
  Lab<double> lab("reference");
  std::vector<Values> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    inputs.push_back(numbers<double>(100 + i, num_elements(shapes[i])));
  }
  auto tensors = [&] {
    std::vector<Tensor> made;
    for (std::size_t i = 0; i < shapes.size(); ++i) made.push_back(lab.in(shapes[i], inputs[i]));
    return made;
  };
  Tensor out = forward(lab, tensors());
  Values direction = numbers<double>(7, out.size());
  auto value = [&] {
    Values now = lab.get(forward(lab, tensors()));
    double total = 0.0;
    for (std::size_t i = 0; i < now.size(); ++i) total += now[i] * direction[i];
    return total;
  };
  std::vector<Tensor> found = backward(lab, tensors(), lab.in(out.shape(), direction));
  ASSERT_EQ(found.size(), shapes.size());
  constexpr double step = 1e-5;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    Values expected;
    for (double& each : inputs[i]) {
      double kept = each;
      each = kept + step;
      double up = value();
      each = kept - step;
      double down = value();
      each = kept;
      expected.push_back((up - down) / (2.0 * step));
    }
    expect_near(lab.get(found[i]), expected, 1e-7, "input " + std::to_string(i));
  }
}

Tensor zeros(Lab<double>& lab, const Shape& shape) {
  Tensor t = lab.out(shape);
  fill(lab.exec(), t, 0.0);
  return t;
}

TEST(Gradients, Matmul) {
  check_gradients(
      {{4, 3}, {5, 3}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({4, 5});
        matmul(lab.exec(), y, in[0], in[1], {.transpose_b = true});
        return y;
      },
      [](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor x = lab.out({4, 3});
        Tensor w = zeros(lab, {5, 3});
        matmul(lab.exec(), x, grad, in[1]);
        matmul(lab.exec(), w, grad, in[0], {.transpose_a = true, .beta = 1.0F});
        return std::vector<Tensor>{x, w};
      });
}

TEST(Gradients, Embedding) {
  check_gradients(
      {{6, 3}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor x = lab.out({5, 3});
        embedding_forward(lab.exec(), x, lab.ints({3, 9, 8, 3, 0}), in[0], 3);
        return x;
      },
      [](Lab<double>& lab, const std::vector<Tensor>&, const Tensor& grad) {
        Tensor table = zeros(lab, {6, 3});
        embedding_backward(lab.exec(), table, grad, lab.ints({3, 9, 8, 3, 0}), 3);
        return std::vector<Tensor>{table};
      });
}

TEST(Gradients, RmsNorm) {
  check_gradients(
      {{3, 7}, {7}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({3, 7});
        rms_norm_forward(lab.exec(), y, lab.out({3}), in[0], in[1], 1e-3F);
        return y;
      },
      [](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor inv = lab.out({3});
        rms_norm_forward(lab.exec(), lab.out({3, 7}), inv, in[0], in[1], 1e-3F);
        Tensor x = lab.out({3, 7});
        Tensor w = zeros(lab, {7});
        rms_norm_backward_input(lab.exec(), x, grad, in[0], in[1], inv);
        rms_norm_backward_weight(lab.exec(), w, grad, in[0], inv);
        return std::vector<Tensor>{x, w};
      });
}

TEST(Gradients, LayerNorm) {
  check_gradients(
      {{3, 7}, {7}, {7}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({3, 7});
        layer_norm_forward(lab.exec(), y, lab.out({3, 2}), in[0], in[1], in[2], 1e-3F);
        return y;
      },
      [](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor statistics = lab.out({3, 2});
        layer_norm_forward(lab.exec(), lab.out({3, 7}), statistics, in[0], in[1], in[2], 1e-3F);
        Tensor x = lab.out({3, 7});
        Tensor weight = zeros(lab, {7});
        Tensor bias = zeros(lab, {7});
        layer_norm_backward_input(lab.exec(), x, grad, in[0], in[1], statistics);
        layer_norm_backward_weight(lab.exec(), weight, bias, grad, in[0], statistics);
        return std::vector<Tensor>{x, weight, bias};
      });
}

TEST(Gradients, Gelu) {
  check_gradients(
      {{4, 6}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({4, 6});
        gelu_forward(lab.exec(), y, in[0]);
        return y;
      },
      [](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor x = lab.out({4, 6});
        gelu_backward(lab.exec(), x, grad, in[0]);
        return std::vector<Tensor>{x};
      });
}

TEST(Gradients, BiasOfAProduct) {
  check_gradients(
      {{4, 3}, {5, 3}, {5}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({4, 5});
        matmul(lab.exec(), y, in[0], in[1], {.transpose_b = true, .bias = in[2]});
        return y;
      },
      [](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor x = lab.out({4, 3});
        Tensor w = zeros(lab, {5, 3});
        Tensor bias = zeros(lab, {5});
        matmul(lab.exec(), x, grad, in[1]);
        matmul(lab.exec(), w, grad, in[0], {.transpose_a = true, .beta = 1.0F});
        add_column_sums(lab.exec(), bias, grad);
        return std::vector<Tensor>{x, w, bias};
      });
}

TEST(Gradients, Rope) {
  RopeOptions options{.head_dim = 6, .base = 100.0};
  check_gradients(
      {{4, 12}},
      [=](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({4, 12});
        rope(lab.exec(), y, in[0], lab.ints({0, 1, 7, 40}), options);
        return y;
      },
      [=](Lab<double>& lab, const std::vector<Tensor>&, const Tensor& grad) {
        Tensor x = lab.out({4, 12});
        RopeOptions back = options;
        back.inverse = true;
        rope(lab.exec(), x, grad, lab.ints({0, 1, 7, 40}), back);
        return std::vector<Tensor>{x};
      });
}

TEST(Gradients, Swiglu) {
  check_gradients(
      {{3, 5}, {3, 5}},
      [](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor y = lab.out({3, 5});
        swiglu_forward(lab.exec(), y, in[0], in[1]);
        return y;
      },
      [](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor gate = lab.out({3, 5});
        Tensor up = lab.out({3, 5});
        swiglu_backward(lab.exec(), gate, up, grad, in[0], in[1]);
        return std::vector<Tensor>{gate, up};
      });
}

TEST(Gradients, AttentionCausalGroupedWithOffsets) {
  for (bool causal : {true, false}) {
    AttentionShape s{.batch = 2,
                     .heads = 4,
                     .kv_heads = 2,
                     .head_dim = 3,
                     .q_length = 4,
                     .k_length = 5,
                     .q_begin = 2,
                     .k_begin = 1,
                     .causal = causal};
    check_gradients(
        {{8, 12}, {10, 6}, {10, 6}},
        [=](Lab<double>& lab, const std::vector<Tensor>& in) {
          Tensor out = lab.out({8, 12});
          attention_forward(lab.exec(), out, lab.out({8, 4}), in[0], in[1], in[2], s);
          return out;
        },
        [=](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
          Tensor out = lab.out({8, 12});
          Tensor lse = lab.out({8, 4});
          attention_forward(lab.exec(), out, lse, in[0], in[1], in[2], s);
          AttentionGradients g{lab.out({8, 12}), lab.out({10, 6}), lab.out({10, 6})};
          attention_backward(lab.exec(), g, grad, in[0], in[1], in[2], out, lse, s);
          return std::vector<Tensor>{g.q, g.k, g.v};
        });
  }
}

TEST(Gradients, CrossEntropy) {
  VocabShard shard{.begin = 2, .valid = 5};
  auto losses = [=](Lab<double>& lab, const Tensor& logits, Tensor& max, Tensor& total) {
    Tensor targets = lab.ints({2, 6, 4});
    Tensor target = lab.out({3});
    Tensor loss = lab.out({3});
    max = lab.out({3});
    total = lab.out({3});
    cross_entropy_max(lab.exec(), max, logits, shard);
    cross_entropy_sum(lab.exec(), total, target, logits, max, targets, shard);
    cross_entropy_loss(lab.exec(), loss, max, total, target, targets);
    return loss;
  };
  check_gradients(
      {{3, 6}},
      [=](Lab<double>& lab, const std::vector<Tensor>& in) {
        Tensor max;
        Tensor total;
        Tensor mean = lab.out({});
        sum(lab.exec(), mean, losses(lab, in[0], max, total));
        return mean;
      },
      [=](Lab<double>& lab, const std::vector<Tensor>& in, const Tensor& grad) {
        Tensor max;
        Tensor total;
        losses(lab, in[0], max, total);
        Tensor logits = lab.out({3, 6});
        cross_entropy_gradient(lab.exec(), logits, in[0], max, total, lab.ints({2, 6, 4}), grad,
                               shard);
        return std::vector<Tensor>{logits};
      });
}

}  // namespace
}  // namespace concordat::device::testing
