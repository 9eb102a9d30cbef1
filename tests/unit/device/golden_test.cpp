// Every op on every back end against PyTorch's values (tests/golden/make_device_ops.py).
//
// The golden values are double-precision results rounded to fp32; ours are made of at most a few
// dozen fp32 operations on numbers of size 1 to 10, so 1e-5 relative to 1 + |value| is ample, and
// far below what a wrong formula, scale or transpose would change.
#include "support/golden.hpp"
#include "unit/device/device_testing.hpp"

namespace concordat::device::testing {
namespace {

constexpr double golden_tolerance = 1e-5;

class AgainstPyTorch : public ::testing::TestWithParam<std::string> {
 protected:
  Tensor in(Shape shape, const std::string& name) {
    return lab_.in(std::move(shape), golden(name));
  }
  std::vector<float> golden(const std::string& name) const { return golden_.f32(name); }
  Tensor ints(const std::string& name) { return lab_.ints(golden_.i32(name)); }
  Tensor out(Shape shape) { return lab_.out(std::move(shape)); }
  Tensor zeros(Shape shape) {
    Tensor t = lab_.out(std::move(shape));
    fill(exec(), t, 0.0);
    return t;
  }
  Exec& exec() { return lab_.exec(); }
  void expect(const Tensor& found, const std::string& name) {
    expect_near(lab_.get(found), golden(name), golden_tolerance, name);
  }
  Lab<float> lab_{GetParam()};
  test::Golden golden_{"device_ops.txt"};
};

INSTANTIATE_TEST_SUITE_P(Backends, AgainstPyTorch, ::testing::ValuesIn(tested_backends()),
                         [](const auto& backend) { return backend.param; });

TEST_P(AgainstPyTorch, Linear) {
  Tensor x = in({5, 12}, "linear/x");
  Tensor w = in({9, 12}, "linear/w");
  Tensor grad = in({5, 9}, "linear/grad_out");
  Tensor y = out({5, 9});
  Tensor grad_x = out({5, 12});
  Tensor grad_w = zeros({9, 12});
  matmul(exec(), y, x, w, {.transpose_b = true});
  matmul(exec(), grad_x, grad, w);
  matmul(exec(), grad_w, grad, x, {.transpose_a = true, .beta = 1.0F});
  expect(y, "linear/out");
  expect(grad_x, "linear/grad_x");
  expect(grad_w, "linear/grad_w");
}

TEST_P(AgainstPyTorch, Embedding) {
  Tensor tokens = ints("embedding/tokens");
  Tensor x = out({6, 6});
  Tensor grad = zeros({11, 6});
  embedding_forward(exec(), x, tokens, in({11, 6}, "embedding/table"));
  embedding_backward(exec(), grad, in({6, 6}, "embedding/grad_out"), tokens);
  expect(x, "embedding/out");
  expect(grad, "embedding/grad_table");
}

TEST_P(AgainstPyTorch, RmsNorm) {
  Tensor x = in({7, 20}, "rms_norm/x");
  Tensor w = in({20}, "rms_norm/w");
  Tensor grad = in({7, 20}, "rms_norm/grad_out");
  Tensor y = out({7, 20});
  Tensor inv = out({7});
  Tensor grad_x = out({7, 20});
  Tensor grad_w = zeros({20});
  rms_norm_forward(exec(), y, inv, x, w, 1e-3F);
  rms_norm_backward_input(exec(), grad_x, grad, x, w, inv);
  rms_norm_backward_weight(exec(), grad_w, grad, x, inv);
  expect(y, "rms_norm/out");
  expect(grad_x, "rms_norm/grad_x");
  expect(grad_w, "rms_norm/grad_w");
}

TEST_P(AgainstPyTorch, Rope) {
  Tensor positions = ints("rope/positions");
  Tensor y = out({6, 24});
  Tensor grad_x = out({6, 24});
  rope(exec(), y, in({6, 24}, "rope/x"), positions, {.head_dim = 8});
  rope(exec(), grad_x, in({6, 24}, "rope/grad_out"), positions, {.head_dim = 8, .inverse = true});
  expect(y, "rope/out");
  expect(grad_x, "rope/grad_x");
}

TEST_P(AgainstPyTorch, Swiglu) {
  Tensor gate = in({4, 10}, "swiglu/gate");
  Tensor up = in({4, 10}, "swiglu/up");
  Tensor y = out({4, 10});
  Tensor grad_gate = out({4, 10});
  Tensor grad_up = out({4, 10});
  swiglu_forward(exec(), y, gate, up);
  swiglu_backward(exec(), grad_gate, grad_up, in({4, 10}, "swiglu/grad_out"), gate, up);
  expect(y, "swiglu/out");
  expect(grad_gate, "swiglu/grad_gate");
  expect(grad_up, "swiglu/grad_up");
}

TEST_P(AgainstPyTorch, LayerNorm) {
  Tensor x = in({7, 20}, "layer_norm/x");
  Tensor weight = in({20}, "layer_norm/w");
  Tensor statistics = out({7, 2});
  Tensor y = out({7, 20});
  layer_norm_forward(exec(), y, statistics, x, weight, in({20}, "layer_norm/b"), 1e-3F);
  expect(y, "layer_norm/out");
  Tensor grad = in({7, 20}, "layer_norm/grad_out");
  Tensor grad_x = out({7, 20});
  Tensor grad_weight = zeros({20});
  Tensor grad_bias = zeros({20});
  layer_norm_backward_input(exec(), grad_x, grad, x, weight, statistics);
  layer_norm_backward_weight(exec(), grad_weight, grad_bias, grad, x, statistics);
  expect(grad_x, "layer_norm/grad_x");
  expect(grad_weight, "layer_norm/grad_w");
  expect(grad_bias, "layer_norm/grad_b");
}

TEST_P(AgainstPyTorch, Gelu) {
  Tensor x = in({4, 10}, "gelu/x");
  Tensor y = out({4, 10});
  Tensor grad_x = out({4, 10});
  gelu_forward(exec(), y, x);
  gelu_backward(exec(), grad_x, in({4, 10}, "gelu/grad_out"), x);
  expect(y, "gelu/out");
  expect(grad_x, "gelu/grad_x");
}

TEST_P(AgainstPyTorch, LinearWithABias) {
  Tensor x = in({5, 12}, "biased/x");
  Tensor w = in({9, 12}, "biased/w");
  Tensor grad = in({5, 9}, "biased/grad_out");
  Tensor y = out({5, 9});
  Tensor grad_w = zeros({9, 12});
  Tensor grad_b = zeros({9});
  matmul(exec(), y, x, w, {.transpose_b = true, .bias = in({9}, "biased/b")});
  matmul(exec(), grad_w, grad, x, {.transpose_a = true, .beta = 1.0F});
  add_column_sums(exec(), grad_b, grad);
  expect(y, "biased/out");
  expect(grad_w, "biased/grad_w");
  expect(grad_b, "biased/grad_b");
}

TEST_P(AgainstPyTorch, Attention) {
  AttentionShape s{
      .batch = 2, .heads = 4, .kv_heads = 2, .head_dim = 6, .q_length = 9, .k_length = 9};
  Tensor q = in({18, 24}, "attention/q");
  Tensor k = in({18, 12}, "attention/k");
  Tensor v = in({18, 12}, "attention/v");
  Tensor y = out({18, 24});
  Tensor lse = out({18, 4});
  attention_forward(exec(), y, lse, q, k, v, s);
  expect(y, "attention/out");
  expect(lse, "attention/lse");
  AttentionGradients g{out({18, 24}), out({18, 12}), out({18, 12})};
  attention_backward(exec(), g, in({18, 24}, "attention/grad_out"), q, k, v, y, lse, s);
  expect(g.q, "attention/grad_q");
  expect(g.k, "attention/grad_k");
  expect(g.v, "attention/grad_v");
}

TEST_P(AgainstPyTorch, CrossEntropy) {
  VocabShard shard{.begin = 0, .valid = 13};
  Tensor logits = in({6, 13}, "cross_entropy/logits");
  Tensor targets = ints("cross_entropy/targets");
  Tensor max = out({6});
  Tensor total = out({6});
  Tensor target = out({6});
  Tensor loss = out({6});
  Tensor grad = out({6, 13});
  cross_entropy_max(exec(), max, logits, shard);
  cross_entropy_sum(exec(), total, target, logits, max, targets, shard);
  cross_entropy_loss(exec(), loss, max, total, target, targets);
  cross_entropy_gradient(exec(), grad, logits, max, total, targets, lab_.in({}, {0.2F}), shard);
  expect(loss, "cross_entropy/losses");
  expect(grad, "cross_entropy/grad_logits");
}

TEST_P(AgainstPyTorch, AdamwWithClippingOverFourSteps) {
  // PyTorch divides by (norm + 1e-6), we by the norm: 1e-6 of the gradient, within the tolerance.
  Tensor weight = in({40}, "adamw/start");
  AdamwState state{weight, zeros({40}), zeros({40}), {}};
  Tensor squares = out({});
  Tensor clip = out({});
  Tensor found_inf = out({});
  for (int step = 0; step < 4; ++step) {
    std::string at = std::to_string(step);
    Tensor gradient = in({40}, "adamw/gradient" + at);
    sum_squares(exec(), squares, gradient);
    clip_factor(exec(), clip, found_inf, squares, 1.0F);
    float norm = golden("adamw/norm" + at)[0];
    EXPECT_NEAR(lab_.get(squares)[0], norm * norm, 1e-5F * (1.0F + norm * norm));
    EXPECT_NEAR(lab_.get(clip)[0], norm > 1.0F ? 1.0F / norm : 1.0F, 1e-5F);
    auto count = static_cast<float>(step + 1);
    AdamwScalars scalars{lab_.in({}, {0.01F}), lab_.in({}, {1.0F - std::pow(0.9F, count)}),
                         lab_.in({}, {1.0F - std::pow(0.95F, count)}), clip, found_inf};
    adamw(exec(), state, gradient, scalars, {.weight_decay = 0.1F});
    expect(weight, "adamw/weight" + at);
  }
  expect(state.m, "adamw/m");
  expect(state.v, "adamw/v");
}

}  // namespace
}  // namespace concordat::device::testing
