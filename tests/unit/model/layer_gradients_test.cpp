// Every layer's gradients against central differences, on every back end.
#include "concordat/model/names.hpp"
#include "support.hpp"

namespace concordat::model::test {
namespace {

constexpr std::int64_t kSequences = 2;
constexpr std::int64_t kLength = 3;
constexpr std::int64_t kRows = kSequences * kLength;

/// One rank with the tensors of tiny_config() and a random micro-batch.
class LayerTest : public testing::TestWithParam<std::string> {
 protected:
  LayerTest()
      : session_(GetParam()),
        comm_(comm::self_communicator()),
        mesh_(*comm_, {}),
        set_(session_.exec(), declare_parameters(tiny_config()), mesh_),
        pool_([this](Dtype dtype, const Shape& shape) {
          return session_.backend().allocate(dtype, shape);
        }) {
    weights_ = random_weights(declare_parameters(tiny_config()), 1);
    set_weights(session_.exec(), set_, mesh_, weights_);
    const auto tokens = random_tokens(kSequences * (kLength + 1), tiny_config().vocab, 3);
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

  device::Session session_;
  std::unique_ptr<comm::Communicator> comm_;
  parallel::ProcessMesh mesh_;
  ParameterSet set_;
  BufferPool pool_;
  SlotNames slots_;
  MicroBatchTensors batch_;
  ByName weights_;
};

TEST_P(LayerTest, RmsNormGradients) {
  RmsNorm norm(set_.weight({"model.norm.weight"}), 1e-5F, slots_, "norm");
  check(norm, true, {"model.norm.weight"});
}

TEST_P(LayerTest, LinearGradientsInEverySplit) {
  for (const Split split : {Split::none, Split::columns, Split::rows}) {
    SlotNames fresh;
    slots_ = fresh;
    Linear linear(set_.weight({"lm_head.weight"}), split, slots_, "linear");
    set_.zero_gradients(session_.exec());
    SavedTable saved(slots_);
    Pass now = pass(saved);
    const auto x = random_values(kRows * 8, 7);
    const Tensor y = linear.forward(now, upload(x));
    EXPECT_EQ(y.shape(), (Shape{kRows, 11}));
    const auto direction = random_values(kRows * 11, 8);
    const auto grad_x = to_host(session_.exec(), linear.backward_input(now, upload(direction)));
    linear.backward_weight(now);
    const auto grad_w = to_host(session_.exec(), set_.gradient(set_.tensor("lm_head.weight")));
    // A product is linear: the gradients are known in closed form.
    const auto& w = weights_.at("lm_head.weight");
    for (std::size_t c = 0; c < 8; ++c) {
      double expected = 0.0;
      for (std::size_t v = 0; v < 11; ++v) expected += double{direction[v]} * double{w[v * 8 + c]};
      EXPECT_NEAR(grad_x[c], expected, 1e-5);
      double weight = 0.0;
      for (std::size_t r = 0; r < kRows; ++r) {
        weight += double{direction[r * 11 + 2]} * double{x[r * 8 + c]};
      }
      EXPECT_NEAR(grad_w[2 * 8 + c], weight, 1e-5);
    }
  }
}

TEST_P(LayerTest, EmbeddingGradients) {
  Embedding embedding(set_.weight({"model.embed_tokens.weight"}), {.begin = 0, .valid = 11}, slots_,
                      "embed");
  check(embedding, false, {"model.embed_tokens.weight"});
}

TEST_P(LayerTest, BlockGradientsOfAttentionNormsAndFeedForward) {
  Block block(tiny_config(), 0, 1, set_, slots_);
  check(block, true,
        {names::in_layer(0, names::attention_norm), names::in_layer(0, names::q_proj),
         names::in_layer(0, names::k_proj), names::in_layer(0, names::v_proj),
         names::in_layer(0, names::o_proj), names::in_layer(0, names::mlp_norm),
         names::in_layer(0, names::gate_proj), names::in_layer(0, names::up_proj),
         names::in_layer(0, names::down_proj)});
}

TEST_P(LayerTest, BackwardOfTwoMicroBatchesInAnyOrderAddsUp) {
  Block block(tiny_config(), 0, 1, set_, slots_);
  const std::string name = names::in_layer(0, names::down_proj);
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

INSTANTIATE_TEST_SUITE_P(BackEnds, LayerTest, testing::ValuesIn(backends()),
                         [](const auto& back_end) { return back_end.param; });

}  // namespace
}  // namespace concordat::model::test
