// Tensor parallelism on the `threads` communicator equals one rank. Rank counts: 1, 2.
#include <mutex>

#include "support.hpp"

namespace concordat::model::test {
namespace {

struct Outcome {
  double loss = 0.0;
  std::vector<float> grad_x;
  ByName gradients;
};

constexpr std::int64_t kSequences = 2;
constexpr std::int64_t kLength = 5;
constexpr std::int64_t kRows = kSequences * kLength;

std::vector<std::int32_t> tokens() {
  return random_tokens(kSequences * (kLength + 1), tiny_config().vocab, 31);
}

/// A column-parallel and a row-parallel product with SwiGLU between them, then the norm and the
/// vocabulary-parallel loss.
Outcome mlp_with_loss(const std::string& backend, int tp) {
  Outcome outcome;
  std::mutex mutex;
  comm::run_threads(tp, [&](comm::Communicator& comm) {
    device::Session session(backend);
    device::Exec& exec = session.exec();
    parallel::ProcessMesh mesh(comm, {.tp = tp});
    const ModelConfig config = tiny_config();
    const auto specs = declare_parameters(config);
    ParameterSet set(exec, specs, mesh);
    set_weights(exec, set, mesh, random_weights(specs, 9));
    SlotNames slots;
    FeedForward mlp(
        {.up = set.modules({"model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj"}),
         .down = set.modules({"model.layers.0.mlp.down_proj"})},
        slots, "mlp");
    const auto range = parallel::shard_range(specs.back(), tp, comm.rank());
    Head head(config, set, {.begin = range.begin, .valid = range.count}, 3, slots);
    BufferPool pool(
        [&](Dtype dtype, const Shape& shape) { return session.backend().allocate(dtype, shape); });
    const auto batch = make_batch(session, kSequences, kLength, tokens());
    SavedTable saved(slots);
    Pass pass{.exec = exec, .mesh = mesh, .pool = pool, .saved = saved, .batch = batch};
    const Tensor x =
        session.upload<float>({kRows, 8}, std::span<const float>(random_values(kRows * 8, 33)));
    const Tensor loss = session.backend().allocate(Dtype::f64, {});
    const Tensor scale = session.backend().allocate(Dtype::f32, {});
    device::fill(exec, loss, 0.0);
    device::fill(exec, scale, 1.0 / kRows);
    set.zero_gradients(exec);
    head.forward_loss(pass, mlp.forward_add(pass, x, x), loss, scale);
    const Tensor grad_x = mlp.backward_input(pass, head.backward_loss(pass));
    head.backward_weight(pass);
    mlp.backward_weight(pass);
    EXPECT_TRUE(saved.empty()) << saved.listing();

    const auto all = to_host(exec, grad_x);
    const std::lock_guard lock(mutex);
    outcome.loss = device::read_back<double>(exec, loss).get();
    if (comm.rank() == 0) outcome.grad_x = all;
    EXPECT_EQ(outcome.grad_x.empty() ? all : outcome.grad_x, all);
    collect_gradients(exec, set, mesh, outcome.gradients);
  });
  return outcome;
}

Outcome whole_model(const Case& test, int tp) {
  Outcome outcome;
  std::mutex mutex;
  comm::run_threads(tp, [&](comm::Communicator& comm) {
    device::Session session(test.backend);
    parallel::ProcessMesh mesh(comm, {.tp = tp});
    Stage stage(tiny_config(test.family), session.exec(), mesh);
    set_weights(session.exec(), stage.parameters(), mesh, random_weights(stage.specs(), 9));
    const auto batch = make_batch(session, kSequences, kLength, tokens());
    stage.open_step(1.0 / kRows);
    stage.forward(MicroBatch(0), batch, {});
    stage.backward_input(MicroBatch(0), {});
    stage.backward_weight(MicroBatch(0), true);
    const double loss = device::read_back<double>(session.exec(), stage.loss_sum()).get();
    const std::lock_guard lock(mutex);
    outcome.loss = loss;
    collect_gradients(session.exec(), stage.parameters(), mesh, outcome.gradients);
  });
  return outcome;
}

/// Sums over two halves round otherwise than sums over the whole: a few ulp of the largest element.
void expect_equal(const Outcome& found, const Outcome& expected) {
  EXPECT_NEAR(found.loss, expected.loss, 1e-5 * expected.loss);
  expect_near(found.grad_x, expected.grad_x, 1e-5F, "x");
  for (const auto& [name, values] : expected.gradients) {
    expect_near(found.gradients.at(name), values, 1e-5F, name);
  }
}

class TensorParallelTest : public testing::TestWithParam<std::string> {};

TEST_P(TensorParallelTest, MlpWithVocabularyParallelLossOnTwoRanksEqualsOne) {
  const Outcome one = mlp_with_loss(GetParam(), 1);
  EXPECT_GT(largest(one.gradients.at("model.layers.0.mlp.up_proj.weight")), 0.0F);
  expect_equal(mlp_with_loss(GetParam(), 2), one);
}

TEST_P(TensorParallelTest, TheWholeModelOnTwoRanksEqualsOne) {
  for (const Family family : {Family::llama, Family::gpt2}) {
    const Case test{GetParam(), family};
    expect_equal(whole_model(test, 2), whole_model(test, 1));
  }
}

INSTANTIATE_TEST_SUITE_P(BackEnds, TensorParallelTest, testing::ValuesIn(backends()),
                         [](const auto& back_end) { return back_end.param; });

}  // namespace
}  // namespace concordat::model::test
