// Sequence parallel, context parallel, ZeRO-1, shared key-value heads and a tied table over stages
// train as one rank does: losses, gradients, weights. Rank counts: 1, 2, 3, 4, 6, 8.
#include <atomic>

#include "concordat/comm/errors.hpp"
#include "support.hpp"

namespace concordat::train::test {
namespace {

/// Heads that tp 2, 3 and 6 divide, a vocabulary that none does, rows that all do.
TrainSettings six_heads() {
  TrainSettings settings = tiny_settings();
  settings.model.width = 12;
  settings.model.heads = 6;
  settings.model.kv_heads = 6;
  settings.model.layers = 3;
  return settings;
}

class ShardingTest : public testing::TestWithParam<std::string> {
 protected:
  void expect_one_rank(const TrainSettings& settings, const parallel::MeshShape& shape) {
    SCOPED_TRACE(shape.text());
    TrainSettings alone = settings;
    alone.schedule = "1f1b";
    alone.chunks = 1;
    alone.zero = 0;
    alone.sequence_parallel = false;
    alone.recompute = model::Recompute::none;
    test::expect_one_rank(GetParam(), alone, shape, settings, 3e-6);
  }
};

TEST_P(ShardingTest, ThreeTensorRanksEqualOne) { expect_one_rank(six_heads(), {.tp = 3}); }

TEST_P(ShardingTest, SequenceParallelEqualsOneRank) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  expect_one_rank(settings, {.tp = 2});
  expect_one_rank(settings, {.tp = 3});
  expect_one_rank(settings, {.dp = 3, .tp = 2});
  expect_one_rank(settings, {.pp = 3, .tp = 2});
}

TEST_P(ShardingTest, RingContextParallelEqualsOneRank) {
  const TrainSettings settings = six_heads();
  expect_one_rank(settings, {.cp = 2});
  expect_one_rank(settings, {.cp = 3});
  expect_one_rank(settings, {.cp = 6});
  expect_one_rank(settings, {.dp = 2, .cp = 3});
  expect_one_rank(settings, {.pp = 2, .cp = 3});
}

TEST_P(ShardingTest, RingContextParallelWithTwoRunsARankEqualsOneRank) {
  TrainSettings settings = six_heads();
  settings.length = GlobalLength(24);  // cp 2, 3 and 4 hold fronts and mirror images
  expect_one_rank(settings, {.cp = 2});
  expect_one_rank(settings, {.cp = 3});
  expect_one_rank(settings, {.cp = 4});
  settings.model.kv_heads = 2;
  expect_one_rank(settings, {.cp = 3, .tp = 2});
}

TEST_P(ShardingTest, WhatIsMadeAgainIsMadeAgainOnAllAxes) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  settings.length = GlobalLength(12);
  for (const auto recompute : {model::Recompute::attention, model::Recompute::block}) {
    settings.recompute = recompute;
    expect_one_rank(settings, {.cp = 3, .tp = 2});
    expect_one_rank(settings, {.pp = 2, .cp = 2});
  }
}

TEST_P(ShardingTest, SequencesSharedOverBothAxesEqualOneRank) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  expect_one_rank(settings, {.cp = 3, .tp = 2});
  settings.model.kv_heads = 2;
  settings.zero = 1;
  expect_one_rank(settings, {.pp = 2, .cp = 2, .tp = 2});
}

TEST_P(ShardingTest, ZeroOneEqualsOneRank) {
  TrainSettings settings = six_heads();
  settings.zero = 1;
  settings.bucket_elements = 300;
  expect_one_rank(settings, {.dp = 2});
  expect_one_rank(settings, {.dp = 3, .tp = 2});
  expect_one_rank(settings, {.dp = 2, .cp = 3});
  settings.schedule = "zb-h1";
  expect_one_rank(settings, {.dp = 2, .pp = 3});
}

TEST_P(ShardingTest, TensorRanksThatShareKeyValueHeadsEqualOne) {
  TrainSettings settings = six_heads();
  settings.model.kv_heads = 2;
  expect_one_rank(settings, {.tp = 6});
  settings.sequence_parallel = true;
  settings.model.kv_heads = 1;
  expect_one_rank(settings, {.tp = 3});
  expect_one_rank(settings, {.cp = 2, .tp = 3});
  settings.zero = 1;
  expect_one_rank(settings, {.dp = 3, .tp = 2});
}

TEST_P(ShardingTest, ATiedTableOverTheStagesEqualsOneRank) {
  TrainSettings settings = six_heads();
  settings.model.layers = 4;
  settings.model.tied = true;
  for (const char* schedule : {"gpipe", "1f1b", "zb-h1"}) {
    settings.schedule = schedule;
    expect_one_rank(settings, {.pp = 2});
    expect_one_rank(settings, {.pp = 3});
  }
  settings.sequence_parallel = true;
  expect_one_rank(settings, {.pp = 3, .tp = 2});
  settings.zero = 1;
  expect_one_rank(settings, {.dp = 2, .pp = 3});
  settings.schedule = "interleaved";
  settings.chunks = 2;
  settings.micro_batch = 1;
  expect_one_rank(settings, {.pp = 2});
}

INSTANTIATE_TEST_SUITE_P(BackEnds, ShardingTest, testing::ValuesIn(backends()),
                         [](const auto& back_end) { return back_end.param; });

TEST(Sharding, ZeroAndOverlapChangeNoBit) {
  TrainSettings settings = six_heads();
  settings.clip_norm = 0.2F;
  settings.bucket_elements = 200;
  for (const parallel::MeshShape& shape :
       {parallel::MeshShape{.dp = 3}, parallel::MeshShape{.dp = 2, .cp = 2}}) {
    for (const std::string& backend : backends()) {
      settings.compute = shape.cp > 1 ? Dtype::bf16 : Dtype::f32;  // norms stay in f32
      settings.zero = 0;
      settings.overlap = false;
      const ByName plain = train(backend, shape, settings, 3).state;
      settings.overlap = true;
      EXPECT_EQ(train(backend, shape, settings, 3).state, plain) << backend;
      settings.zero = 1;
      EXPECT_EQ(train(backend, shape, settings, 3).state, plain) << backend;
      settings.overlap = false;
      EXPECT_EQ(train(backend, shape, settings, 3).state, plain) << backend;
    }
  }
}

TEST(Sharding, TheSameLayoutGivesTheSameBits) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  settings.zero = 1;
  for (const std::string& backend : backends()) {
    const parallel::MeshShape shape{.cp = 3, .tp = 2};
    EXPECT_EQ(train(backend, shape, settings, 3).state, train(backend, shape, settings, 3).state);
  }
}

TEST(Sharding, StateOfOneLayoutGoesOnInAnother) {
  // Whole tensors from owners of parts, and back into other parts: the next step is the same.
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  settings.zero = 1;
  const ByName two = train("cpu", {.dp = 2, .tp = 2}, settings, 2).state;
  const Outcome three = train("cpu", {.dp = 2, .tp = 2}, settings, 3);
  for (const int zero : {0, 1}) {
    for (const parallel::MeshShape& shape :
         {parallel::MeshShape{}, parallel::MeshShape{.dp = 3}, parallel::MeshShape{.cp = 3}}) {
      settings.zero = zero;
      comm::run_threads(shape.size(), [&](comm::Communicator& comm) {
        device::Session session("cpu");
        parallel::ProcessMesh mesh(comm, shape);
        MadeUpData data(settings.model.vocab);
        Trainer trainer(settings, session.exec(), mesh, data, system_clock());
        HostState state = trainer.make_state();
        for (const StateTensor& part : state.tensors()) {
          const auto& values = two.at(part.name);
          std::copy(values.begin(), values.end(), part.local.span<float>().begin());
        }
        trainer.write_state(state, 2);
        HostState again = trainer.make_state();
        trainer.read_state(again);
        HostState memory = trainer.make_state();
        const HostState views = trainer.state_to_copy(memory);
        for (std::size_t i = 0; i < state.tensors().size(); ++i) {
          for (const HostState* each : {&std::as_const(again), &views}) {
            const auto found = each->tensors()[i].local.span<float>();
            EXPECT_TRUE(
                std::equal(found.begin(), found.end(), two.at(state.tensors()[i].name).begin()))
                << state.tensors()[i].name;
          }
        }
        EXPECT_EQ(views.weights().storage() == memory.weights().storage(), zero && comm.size() > 1)
            << "copied only where it has to be gathered";
        EXPECT_NEAR(trainer.step().loss, three.reports[2].loss, 1e-6) << shape.text();
      });
    }
  }
}

TEST(Sharding, OwnersShareOutEveryBucketAndNothingTwice) {
  auto comm = comm::self_communicator();
  device::Session session("reference");
  parallel::ProcessMesh mesh(*comm, {});
  const model::Stage stage(six_heads().model, session.exec(), mesh,
                           {.parameters = {.bucket_elements = 500}});
  for (const int replicas : {1, 2, 3, 7}) {
    std::vector<int> owners(static_cast<std::size_t>(stage.parameters().num_local()), 0);
    std::int64_t most = 0;
    for (int replica = 0; replica < replicas; ++replica) {
      const Ownership mine(stage.parameters(), replicas, replica, 1, 8);
      std::int64_t at = 0;
      for (const auto& part : mine.parts()) {
        EXPECT_EQ(part.at, at);
        at += part.count;
        for (std::int64_t i = 0; i < part.count; ++i) {
          ++owners[static_cast<std::size_t>(part.begin + i)];
        }
      }
      EXPECT_EQ(mine.count(), at);
      most = std::max(most, at);
    }
    EXPECT_EQ(std::count(owners.begin(), owners.end(), 1), stage.parameters().num_local());
    // In each bucket at most one norm block and one element more than an equal share.
    EXPECT_LE(most * replicas, stage.parameters().num_local() +
                                   9 * replicas * std::ssize(stage.parameters().buckets()));
  }
}

TEST(Sharding, SequenceParallelAndZeroKeepLessAndAreEstimatedSo) {
  TrainSettings settings = six_heads();
  settings.model.width = 96;  // norms and residuals are most of what is kept
  settings.micro_batch = 6;
  const auto backend = device::make_backend("cpu");
  const auto kept = [&](bool sequence_parallel) {
    settings.sequence_parallel = sequence_parallel;
    std::size_t used = 0;
    std::mutex mutex;
    comm::run_threads(3, [&](comm::Communicator& comm) {
      device::Session session("cpu");
      parallel::ProcessMesh mesh(comm, {.tp = 3});
      MadeUpData data(settings.model.vocab);
      Trainer trainer(settings, session.exec(), mesh, data, system_clock());
      trainer.step();
      const std::size_t before = trainer.stage().pool().num_allocations();
      trainer.step();
      EXPECT_EQ(trainer.stage().pool().num_allocations(), before);
      const std::lock_guard lock(mutex);
      used = std::max(used, trainer.stage().pool().allocated_bytes());
    });
    return used;
  };
  const std::size_t whole = kept(false);
  const auto estimate = estimate_memory(settings, {.tp = 3}, *backend).activations;
  const std::size_t shared = kept(true);
  const auto estimate_shared = estimate_memory(settings, {.tp = 3}, *backend).activations;
  EXPECT_LT(shared, whole * 3 / 4);
  EXPECT_LT(estimate_shared, estimate * 3 / 4);
  EXPECT_NEAR(static_cast<double>(estimate) / static_cast<double>(whole), 1.0, 0.25);
  EXPECT_NEAR(static_cast<double>(estimate_shared) / static_cast<double>(shared), 1.0, 0.25);
  settings.zero = 1;
  EXPECT_NEAR(static_cast<double>(estimate_memory(settings, {.dp = 3}, *backend).optimizer),
              static_cast<double>(estimate_memory(settings, {}, *backend).optimizer) / 3.0, 8.0);
}

/// Data that cannot be read on one rank, in its second step.
class TornData final : public TrainingData {
 public:
  TornData(std::int64_t vocab, bool torn) : data_(vocab), torn_(torn) {}
  void sample(std::uint64_t index, std::span<std::int32_t> tokens) override {
    if (torn_ && index >= 6) {
      throw Error(concordat::errors::malformed, {.what = "a shard is torn", .where = "shard 7"});
    }
    data_.sample(index, tokens);
  }

 private:
  MadeUpData data_;
  bool torn_;
};

TEST(Sharding, ARankThatThrowsIsNamedByAllOthersOnEveryAxis) {
  TrainSettings settings = six_heads();
  settings.sequence_parallel = true;
  settings.bucket_elements = 200;
  for (const parallel::MeshShape& shape :
       {parallel::MeshShape{.tp = 3}, parallel::MeshShape{.cp = 3}, parallel::MeshShape{.pp = 3},
        parallel::MeshShape{.dp = 3}, parallel::MeshShape{.cp = 3, .tp = 2}}) {
    SCOPED_TRACE(shape.text());
    constexpr int kTorn = 1;
    std::mutex mutex;
    std::vector<std::string> told;
    comm::run_threads(shape.size(), [&](comm::Communicator& comm) {
      device::Session session("cpu");
      parallel::ProcessMesh mesh(comm, shape);
      TornData data(settings.model.vocab, comm.rank() == kTorn);
      Trainer trainer(settings, session.exec(), mesh, data, system_clock());
      try {
        trainer.step();  // the others may still be in its last sums when they are told
        trainer.step();
        ADD_FAILURE() << "rank " << comm.rank() << " went on";
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        if (comm.rank() == kTorn) {
          EXPECT_EQ(error.code(), concordat::errors::malformed);
        } else {
          EXPECT_EQ(error.code(), comm::errors::peer_failed);
          told.emplace_back(error.what());
        }
      }
    });
    EXPECT_EQ(static_cast<int>(told.size()), shape.size() - 1);
    for (const std::string& text : told) {
      EXPECT_NE(text.find("rank " + std::to_string(kTorn)), std::string::npos) << text;
    }
  }
}

TEST(Sharding, ASumUnderWayEndsWhenARankGivesUp) {
  // Rank 0 has a sum of a bucket under way that the others never join, and fails: neither its own
  // clean-up nor the others wait.
  std::atomic<int> told{0};
  comm::run_threads(3, [&](comm::Communicator& comm) {
    device::Session session("cpu");
    parallel::ProcessMesh mesh(comm, {.dp = 3});
    model::Stage stage(six_heads().model, session.exec(), mesh,
                       {.parameters = {.bucket_elements = 300}});
    const Ownership ownership(stage.parameters(), 3, comm.rank(), 1, 8);
    GradientReducer reducer(mesh, session.exec(), stage.specs(), stage.parameters(), ownership,
                            /*overlaps=*/true);
    if (comm.rank() == 0) {
      reducer.reduce(stage.parameters().buckets().front());
      comm.fail(Error(concordat::errors::malformed, {.what = "a shard is torn"}));
      return;
    }
    try {
      comm.barrier();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), comm::errors::peer_failed);
      EXPECT_NE(std::string(error.what()).find("rank 0"), std::string::npos) << error.what();
      ++told;
    }
  });
  EXPECT_EQ(told, 2);
}

TEST(Sharding, LayoutsThatDoNotDivideAreRefusedWithKeyAndRemedy) {
  const auto refusal = [](const TrainSettings& settings, const parallel::MeshShape& shape) {
    try {
      settings.validate(shape);
    } catch (const Error& error) {
      EXPECT_FALSE(error.fields().expected.empty() || error.fields().remedy.empty());
      return error.fields().where + ": " + error.fields().expected;
    }
    return std::string("accepted");
  };
  TrainSettings settings = six_heads();
  EXPECT_EQ(refusal(settings, {.tp = 4}), "layout.tp: a divisor of model.heads = 6");
  EXPECT_EQ(refusal(settings, {.cp = 4}), "layout.cp: a divisor of 6");
  settings.model.kv_heads = 2;
  EXPECT_EQ(refusal(settings, {.tp = 3}),
            "layout.tp: a divisor or a multiple of model.kv_heads = 2");
  EXPECT_EQ(refusal(settings, {.tp = 6}), "accepted");
  settings.sequence_parallel = true;
  settings.length = GlobalLength(5);
  EXPECT_EQ(refusal(settings, {.tp = 2}), "accepted");  // two sequences at once
  settings.batch = 7;
  EXPECT_EQ(refusal(settings, {.tp = 2}), "layout.sequence_parallel: a multiple of 2 rows");
  settings.sequence_parallel = false;
  settings.zero = 2;
  EXPECT_EQ(refusal(settings, {.tp = 2}), "layout.zero: 0 or 1");
}

}  // namespace
}  // namespace concordat::train::test
