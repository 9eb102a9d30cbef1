// Pipelines of every schedule train as one rank does: losses, gradients, weights.
// Rank counts: 1, 2, 3, 4, 6.
#include "support.hpp"

namespace concordat::train::test {
namespace {

TrainSettings settings_of(int layers, std::int64_t batch, std::int64_t micro_batch) {
  TrainSettings settings = tiny_settings();
  settings.model.layers = layers;
  settings.batch = batch;
  settings.micro_batch = micro_batch;
  return settings;
}

class PipelineTest : public testing::TestWithParam<std::string> {
 protected:
  void expect_one_rank(const TrainSettings& settings, const parallel::MeshShape& shape,
                       const std::string& schedule, int chunks = 1) {
    SCOPED_TRACE(shape.text() + " " + schedule + " chunks=" + std::to_string(chunks));
    TrainSettings piped = settings;
    piped.schedule = schedule;
    piped.chunks = chunks;
    test::expect_one_rank(GetParam(), settings, shape, piped, 2e-6);
  }
};

TEST_P(PipelineTest, TwoStagesEqualOneUnderEverySchedule) {
  const TrainSettings settings = settings_of(4, 8, 2);
  for (const char* schedule : {"gpipe", "1f1b", "zb-h1"}) {
    expect_one_rank(settings, {.pp = 2}, schedule);
  }
  expect_one_rank(settings, {.pp = 2}, "interleaved", 2);
}

TEST_P(PipelineTest, FourStagesEqualOneUnderEverySchedule) {
  const TrainSettings settings = settings_of(9, 8, 1);
  for (const char* schedule : {"gpipe", "1f1b", "zb-h1"}) {
    expect_one_rank(settings, {.pp = 4}, schedule);
  }
  expect_one_rank(settings, {.pp = 4}, "interleaved", 2);
}

TEST_P(PipelineTest, ThreeStagesAndFiveMicroBatchesEqualOne) {
  const TrainSettings settings = settings_of(4, 5, 1);
  for (const char* schedule : {"gpipe", "1f1b", "zb-h1"}) {
    expect_one_rank(settings, {.pp = 3}, schedule);
  }
}

TEST_P(PipelineTest, AnInterleavedMeshWithReplicasAndTensorRanksEqualsOne) {
  // Seven sequences over three replicas: three in two micro-batches, two and two in one.
  expect_one_rank(settings_of(4, 7, 2), {.dp = 3, .pp = 2}, "zb-h1");
  expect_one_rank(settings_of(5, 8, 2), {.dp = 2, .pp = 2}, "interleaved", 2);
  expect_one_rank(settings_of(4, 8, 2), {.pp = 2, .tp = 2}, "interleaved", 2);
}

TEST_P(PipelineTest, ChunksOnOneStageNeedNoMessages) {
  expect_one_rank(settings_of(3, 4, 1), {}, "interleaved", 3);
}

INSTANTIATE_TEST_SUITE_P(BackEnds, PipelineTest, testing::ValuesIn(backends()),
                         [](const auto& back_end) { return back_end.param; });

TEST(Pipeline, EverySplitAndScheduleGivesTheSameBits) {
  // Every schedule adds the micro-batches' gradients in their order, each product is the same
  // whoever makes it, and so are the blocks that the norm is summed from.
  TrainSettings settings = settings_of(4, 8, 2);
  settings.clip_norm = 0.2F;
  for (const std::string& backend : backends()) {
    settings.schedule = "1f1b";
    settings.chunks = 1;
    const ByName one = train(backend, {}, settings, 2).state;
    for (const char* schedule : {"gpipe", "1f1b", "zb-h1", "interleaved"}) {
      settings.schedule = schedule;
      settings.chunks = settings.schedule == "interleaved" ? 2 : 1;
      EXPECT_EQ(train(backend, {.pp = 2}, settings, 2).state, one) << backend << " " << schedule;
    }
  }
}

TEST(Pipeline, AStepAfterTheFirstAllocatesNothing) {
  TrainSettings settings = settings_of(4, 8, 1);
  for (const char* schedule : {"gpipe", "1f1b", "zb-h1", "interleaved"}) {
    settings.schedule = schedule;
    settings.chunks = settings.schedule == "interleaved" ? 2 : 1;
    comm::run_threads(2, [&](comm::Communicator& comm) {
      device::Session session("cpu");
      parallel::ProcessMesh mesh(comm, {.pp = 2});
      MadeUpData data(settings.model.vocab);
      Trainer trainer(settings, session.exec(), mesh, data, system_clock());
      trainer.step();
      const std::size_t before = trainer.stage().pool().num_allocations();
      session.exec().arena.freeze();
      trainer.step();
      EXPECT_EQ(trainer.stage().pool().num_allocations(), before) << schedule;
    });
  }
}

TEST(Pipeline, MemoryIsEstimatedForEverySchedule) {
  TrainSettings settings = settings_of(4, 8, 1);
  const auto activations = [&](const char* schedule, int chunks) {
    settings.schedule = schedule;
    settings.chunks = chunks;
    const std::int64_t estimate =
        estimate_memory(settings, {.pp = 2}, *device::make_backend("cpu")).activations;
    std::size_t used = 0;
    std::mutex mutex;
    comm::run_threads(2, [&](comm::Communicator& comm) {
      device::Session session("cpu");
      parallel::ProcessMesh mesh(comm, {.pp = 2});
      MadeUpData data(settings.model.vocab);
      Trainer trainer(settings, session.exec(), mesh, data, system_clock());
      trainer.step();
      const std::lock_guard lock(mutex);
      used = std::max(used, trainer.stage().pool().allocated_bytes());
    });
    EXPECT_NEAR(static_cast<double>(estimate) / static_cast<double>(used), 1.0, 0.5) << schedule;
    return used;
  };
  // What a schedule holds is what the run on paper says: eight micro-batches, two, or the like.
  const std::size_t all = activations("gpipe", 1);
  EXPECT_LT(activations("1f1b", 1), all / 2);
  EXPECT_LT(activations("zb-h1", 1), all / 2);
  EXPECT_LT(activations("interleaved", 2), all / 2);
}

TEST(Pipeline, StateOfOneSplitGoesOnInAnother) {
  // Saved by interleaved stages in logical tensors, restored on one rank: a step there is the step
  // that the pipeline makes.
  TrainSettings settings = settings_of(4, 8, 2);
  TrainSettings piped = settings;
  piped.schedule = "interleaved";
  piped.chunks = 2;
  const Outcome two = train("reference", {.pp = 2}, piped, 2);
  const Outcome three = train("reference", {.pp = 2}, piped, 3);
  device::Session session("reference");
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  MadeUpData data(settings.model.vocab);
  Trainer trainer(settings, session.exec(), mesh, data, system_clock());
  HostState state = trainer.make_state();
  for (const StateTensor& part : state.tensors()) {
    const auto& values = two.state.at(part.name);
    ASSERT_EQ(part.local.size(), static_cast<std::int64_t>(values.size())) << part.name;
    std::copy(values.begin(), values.end(), part.local.span<float>().begin());
  }
  trainer.write_state(state, 2);
  EXPECT_NEAR(trainer.step().loss, three.reports[2].loss, 1e-6);
}

}  // namespace
}  // namespace concordat::train::test
