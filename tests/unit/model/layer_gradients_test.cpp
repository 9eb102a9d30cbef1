// Every layer's gradients against central differences, on every back end.
#include "support.hpp"

namespace concordat::model::test {
namespace {

constexpr std::int64_t kSequences = 2;
constexpr std::int64_t kLength = 3;
constexpr std::int64_t kRows = kSequences * kLength;

/// One rank with the tensors of tiny_config() and a random micro-batch.
class LayerTest : public testing::TestWithParam<Case> {
 protected:
  LayerTest()
      : config_(tiny_config(GetParam().family)),
        names_(names_of(config_.family)),
        session_(GetParam().backend),
        comm_(comm::self_communicator()),
        mesh_(*comm_, {}),
        set_(session_.exec(), declare_parameters(config_), mesh_),
        pool_([this](Dtype dtype, const Shape& shape) {
          return session_.backend().allocate(dtype, shape);
        }) {
    weights_ = random_weights(declare_parameters(config_), 1);
    set_weights(session_.exec(), set_, mesh_, weights_);
    const auto tokens = random_tokens(kSequences * (kLength + 1), config_.vocab, 3);
    batch_ = make_batch(session_, kSequences, kLength, tokens);
  }

  Tensor upload(const std::vector<float>& values) {
    return session_.upload<float>({kRows, static_cast<std::int64_t>(values.size()) / kRows},
                                  std::span<const float>(values));
  }

  Pass pass(SavedTable& saved) {
    return {.exec = session_.exec(), .mesh = mesh_, .pool = pool_, .saved = saved, .batch = batch_};
  }

  /// loss = sum(y * direction); checks the gradients of x and of the named weights.
  void check(Layer& layer, bool has_input, const std::vector<std::string>& names) {
    const auto x = random_values(kRows * 8, 7);
    SavedTable saved(slots_);
    Pass now = pass(saved);
    set_.zero_gradients(session_.exec());
    const Tensor y = layer.forward(now, has_input ? upload(x) : Tensor());
    const auto direction = random_values(static_cast<std::size_t>(y.size()), 8);
    const Tensor grad_x = layer.backward_input(now, upload(direction));
    now.last = true;
    layer.backward_weight(now);
    EXPECT_TRUE(saved.empty()) << saved.listing();

    const auto loss = [&](const std::vector<float>& input) {
      SavedTable nothing(slots_);
      Pass once = pass(nothing);
      once.keeps = false;
      const auto out =
          to_host(session_.exec(), layer.forward(once, has_input ? upload(input) : Tensor()));
      double sum = 0.0;
      for (std::size_t i = 0; i < out.size(); ++i) sum += double{out[i]} * double{direction[i]};
      return sum;
    };
    if (has_input) expect_differences(x, to_host(session_.exec(), grad_x), 48, loss, "x");
    for (const std::string& name : names) {
      const LocalTensor& tensor = set_.tensor(name);
      expect_differences(
          weights_.at(name), to_host(session_.exec(), set_.gradient(tensor)), 32,
          [&](const std::vector<float>& values) {
            device::write<float>(session_.exec(), set_.compute(tensor), values);
            set_.bump();
            return loss(x);
          },
          name);
    }
  }

  /// Names of everything that block 0 has.
  std::vector<std::string> of_layer() const {
    std::vector<std::string> all;
    for (const auto& tensor : set_.tensors()) {
      if (tensor.spec.name.starts_with(in_layer(names_, 0, ""))) all.push_back(tensor.spec.name);
    }
    return all;
  }

  ModelConfig config_;
  const Names& names_;
  device::Session session_;
  std::unique_ptr<comm::Communicator> comm_;
  parallel::ProcessMesh mesh_;
  ParameterSet set_;
  BufferPool pool_;
  SlotNames slots_;
  MicroBatchTensors batch_;
  ByName weights_;
};

TEST_P(LayerTest, NormGradients) {
  const std::string name(names_.final_norm);
  Norm norm(set_.modules({name}), 1e-5F, slots_, "norm");
  std::vector<std::string> all{weight_of(name)};
  if (set_.holds(bias_of(name))) all.push_back(bias_of(name));
  EXPECT_EQ(all.size(), config_.traits().layer_norm ? 2U : 1U);
  check(norm, true, all);
}

TEST_P(LayerTest, LinearGradientsInEverySplit) {
  const std::string module = in_layer(names_, 0, names_.up);  // [12, 8]
  for (const Split split : {Split::none, Split::columns, Split::rows}) {
    SlotNames fresh;
    slots_ = fresh;
    Linear linear(set_.modules({module}), split, slots_, "linear");
    set_.zero_gradients(session_.exec());
    SavedTable saved(slots_);
    Pass now = pass(saved);
    const auto x = random_values(kRows * 8, 7);
    const auto y = to_host(session_.exec(), linear.forward(now, upload(x)));
    ASSERT_EQ(y.size(), kRows * 12U);
    const auto direction = random_values(kRows * 12, 8);
    const auto grad_x = to_host(session_.exec(), linear.backward_input(now, upload(direction)));
    linear.backward_weight(now);
    const auto grad_w = to_host(session_.exec(), set_.gradient(set_.tensor(weight_of(module))));
    // A product is linear: result and gradients are known in closed form.
    const auto& w = weights_.at(weight_of(module));
    const bool biased = config_.traits().biases;
    for (std::size_t out = 0; out < 12; ++out) {
      double expected = biased ? double{weights_.at(bias_of(module))[out]} : 0.0;
      for (std::size_t c = 0; c < 8; ++c) expected += double{x[8 + c]} * double{w[out * 8 + c]};
      EXPECT_NEAR(y[12 + out], expected, 1e-5);
    }
    for (std::size_t c = 0; c < 8; ++c) {
      double expected = 0.0;
      for (std::size_t v = 0; v < 12; ++v) expected += double{direction[v]} * double{w[v * 8 + c]};
      EXPECT_NEAR(grad_x[c], expected, 1e-5);
      double weight = 0.0;
      for (std::size_t r = 0; r < kRows; ++r) {
        weight += double{direction[r * 12 + 2]} * double{x[r * 8 + c]};
      }
      EXPECT_NEAR(grad_w[2 * 8 + c], weight, 1e-5);
    }
    if (!biased) continue;
    const auto grad_b = to_host(session_.exec(), set_.gradient(set_.tensor(bias_of(module))));
    for (std::size_t out = 0; out < 12; ++out) {
      double expected = 0.0;
      for (std::size_t r = 0; r < kRows; ++r) expected += double{direction[r * 12 + out]};
      EXPECT_NEAR(grad_b[out], expected, 1e-5);
    }
  }
}

TEST_P(LayerTest, EmbeddingGradients) {
  std::vector<std::string> all{weight_of(names_.tokens)};
  Embedding::Tables tables{.tokens = set_.weight({all[0]})};
  if (config_.traits().learned_positions) {
    all.push_back(weight_of(names_.positions));
    tables.positions = &set_.weight({all[1]});
  }
  Embedding embedding(tables, {.begin = 0, .valid = 11}, slots_, "embed");
  check(embedding, false, all);
}

TEST_P(LayerTest, BlockGradientsOfEveryParameter) {
  Block block(config_, 0, 1, set_, slots_);
  EXPECT_EQ(of_layer().size(), config_.traits().biases ? 16U : 9U);
  check(block, true, of_layer());
}

TEST_P(LayerTest, BackwardOfTwoMicroBatchesInAnyOrderAddsUp) {
  Block block(config_, 0, 1, set_, slots_);
  const std::string name = weight_of(in_layer(names_, 0, names_.down));
  const Tensor x0 = upload(random_values(kRows * 8, 20));
  const Tensor x1 = upload(random_values(kRows * 8, 21));
  const Tensor grad = upload(random_values(kRows * 8, 22));
  const auto run = [&](bool crossed) {
    set_.zero_gradients(session_.exec());
    SavedTable saved0(slots_), saved1(slots_);
    Pass first = pass(saved0), second = pass(saved1);
    block.forward(first, x0);
    if (!crossed) {
      block.backward_input(first, grad);
      block.backward_weight(first);
    }
    block.forward(second, x1);
    block.backward_input(second, grad);
    if (crossed) {
      block.backward_input(first, grad);
      block.backward_weight(first);
    }
    block.backward_weight(second);
    return to_host(session_.exec(), set_.gradient(set_.tensor(name)));
  };
  EXPECT_EQ(run(false), run(true));
}

INSTANTIATE_TEST_SUITE_P(All, LayerTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace concordat::model::test
