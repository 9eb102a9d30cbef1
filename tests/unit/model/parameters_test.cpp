#include "concordat/model/parameters.hpp"

#include "concordat/model/errors.hpp"
#include "support.hpp"

namespace concordat::model::test {
namespace {

TEST(Parameters, CanonicalOrderDoesNotDependOnTheStages) {
  const ModelConfig config = tiny_config();
  const parallel::CanonicalSpace one(declare_parameters(config));
  const parallel::CanonicalSpace two(declare_parameters(config, {.stages = 2}));
  EXPECT_EQ(one.num_elements(), config.num_parameters());
  ASSERT_EQ(one.tensors().size(), two.tensors().size());
  for (std::size_t i = 0; i < one.tensors().size(); ++i) {
    EXPECT_EQ(one.tensors()[i].name, two.tensors()[i].name);
    EXPECT_EQ(one.tensors()[i].begin, two.tensors()[i].begin);
  }
}

TEST(Parameters, EmbeddingOnTheFirstStageAndHeadOnTheLast) {
  comm::run_threads(2, [](comm::Communicator& comm) {
    device::Session session("reference");
    parallel::ProcessMesh mesh(comm, {.pp = 2});
    Stage stage(tiny_config(), session.exec(), mesh);
    const bool first = comm.rank() == 0;
    EXPECT_EQ(stage.is_first(), first);
    EXPECT_EQ(stage.is_last(), !first);
    EXPECT_EQ(
        stage.parameters().tensors().front().spec.name,
        first ? weight_of(kNames.tokens) : weight_of(in_layer(kNames, 1, kNames.attention_norm)));
    EXPECT_EQ(stage.parameters().tensors().back().spec.name,
              first ? weight_of(in_layer(kNames, 0, kNames.down)) : weight_of(kNames.head));
  });
}

TEST(Parameters, ChunksAreDealtRoundTheStages) {
  ModelConfig config = tiny_config();
  config.layers = 5;
  const PipelineSplit split{.stages = 2, .chunks = 2};
  const auto specs = declare_parameters(config, split);
  // Four parts of 2, 1, 1, 1 layers; parts 0 and 2 on stage 0.
  const std::vector<int> stage_of_layer{0, 0, 1, 0, 1};
  for (int layer = 0; layer < config.layers; ++layer) {
    for (const auto& spec : specs) {
      if (!spec.name.starts_with("model.layers." + std::to_string(layer) + ".")) continue;
      EXPECT_EQ(spec.stages, std::vector<int>{stage_of_layer[static_cast<std::size_t>(layer)]})
          << spec.name;
    }
  }
  EXPECT_EQ(specs.front().stages, std::vector<int>{0});
  EXPECT_EQ(specs.back().stages, std::vector<int>{1});
  const parallel::CanonicalSpace one(declare_parameters(config));
  const parallel::CanonicalSpace two(specs);
  ASSERT_EQ(one.tensors().size(), two.tensors().size());
  for (std::size_t i = 0; i < one.tensors().size(); ++i) {
    EXPECT_EQ(one.tensors()[i].name, two.tensors()[i].name);
    EXPECT_EQ(one.tensors()[i].begin, two.tensors()[i].begin);
  }
  EXPECT_EQ(split.part_of(1, Chunk(1)), 3);
  EXPECT_TRUE(split.is_last(1, Chunk(1)));
  EXPECT_FALSE(split.is_first(0, Chunk(1)));
}

TEST(Parameters, AStageOfTwoChunksHoldsTheLayersOfBoth) {
  ModelConfig config = tiny_config();
  config.layers = 4;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    device::Session session("reference");
    parallel::ProcessMesh mesh(comm, {.pp = 2});
    Stage stage(config, session.exec(), mesh, {.chunks = 2});
    const bool first = comm.rank() == 0;
    EXPECT_EQ(stage.is_first(Chunk(0)), first);
    EXPECT_FALSE(stage.is_first(Chunk(1)));
    EXPECT_FALSE(stage.is_last(Chunk(0)));
    EXPECT_EQ(stage.is_last(Chunk(1)), !first);
    for (const int layer : {0, 1, 2, 3}) {
      const auto name = weight_of(in_layer(kNames, layer, kNames.query));
      const auto& held = stage.parameters().tensors();
      EXPECT_EQ(std::any_of(held.begin(), held.end(),
                            [&](const LocalTensor& tensor) { return tensor.spec.name == name; }),
                layer % 2 == comm.rank())
          << layer;
    }
    EXPECT_THROW(stage.is_first(Chunk(2)), Bug);
  });
}

TEST(Parameters, NeighboursAreOneMatrixWithoutACopy) {
  device::Session session("reference");
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  ParameterSet set(session.exec(), declare_parameters(tiny_config()), mesh);
  const auto name = [](std::string_view part) { return weight_of(in_layer(kNames, 1, part)); };
  Weight& qkv = set.weight({name(kNames.query), name(kNames.key), name(kNames.value)});
  EXPECT_EQ(qkv.gradient().shape(), (Shape{16, 8}));
  EXPECT_EQ(qkv.gradient().slice(0, 8, 4).raw_bytes(),
            set.gradient(set.tensor(name(kNames.key))).raw_bytes());
  EXPECT_EQ(qkv.compute.value().slice(0, 12, 4).raw_bytes(),
            set.compute(set.tensor(name(kNames.value))).raw_bytes());
  EXPECT_THROW(set.weight({name(kNames.key), name(kNames.query)}), Bug);
  EXPECT_THROW(set.weight({"model.layers.9.mlp.up_proj.weight"}), Bug);
  const std::uint64_t version = qkv.compute.version();
  set.bump();
  EXPECT_GT(qkv.compute.version(), version);
}

TEST(Parameters, BucketsBecomeReadyFromTheBackWhenTheirLastGradientIs) {
  device::Session session("reference");
  auto comm = comm::self_communicator();
  parallel::ProcessMesh mesh(*comm, {});
  Stage stage(tiny_config(), session.exec(), mesh, {.parameters = {.bucket_elements = 200}});
  ParameterSet& set = stage.parameters();
  set_weights(session.exec(), set, mesh, random_weights(stage.specs(), 2));
  std::vector<int> ready;
  set.on_bucket_ready([&](const Bucket& bucket) { ready.push_back(bucket.index); });
  const auto batch = make_batch(session, 1, 4, random_tokens(5, 11, 1));
  stage.open_step(1.0);
  for (int m = 0; m < 2; ++m) {
    stage.forward(MicroBatch(m), batch, {});
    stage.backward_input(MicroBatch(m), {});
    EXPECT_TRUE(ready.empty());
    stage.backward_weight(MicroBatch(m), m == 1);
  }
  EXPECT_GT(set.buckets().size(), 3U);
  EXPECT_EQ(ready.size(), set.buckets().size());
  EXPECT_TRUE(std::is_sorted(ready.begin(), ready.end()));
  std::int64_t covered = 0;
  for (const Bucket& bucket : set.buckets()) covered += bucket.count;
  EXPECT_EQ(covered, set.num_local());
}

TEST(Parameters, InitialValuesAreThoseOfTheLogicalTensorInEveryLayout) {
  const ModelConfig config = tiny_config();
  const auto collect = [&](const parallel::MeshShape& shape) {
    ByName all;
    std::mutex mutex;
    comm::run_threads(shape.size(), [&](comm::Communicator& comm) {
      device::Session session("reference");
      parallel::ProcessMesh mesh(comm, shape);
      ParameterSet set(session.exec(), declare_parameters(config, {.stages = shape.pp}), mesh);
      std::vector<float> flat(static_cast<std::size_t>(set.num_local()));
      initialise(set, mesh, 77, flat);
      const std::lock_guard lock(mutex);
      for (const LocalTensor& tensor : set.tensors()) {
        std::vector<float> local(flat.begin() + tensor.begin,
                                 flat.begin() + tensor.begin + tensor.count);
        auto& logical = all[tensor.spec.name];
        logical.resize(static_cast<std::size_t>(num_elements(tensor.spec.shape)));
        move_shard(tensor, mesh, local, logical, true);
      }
    });
    return all;
  };
  const ByName one = collect({});
  EXPECT_EQ(one, collect({.tp = 2}));
  EXPECT_EQ(one, collect({.pp = 2, .tp = 2}));
  EXPECT_EQ(one.at("model.norm.weight"), std::vector<float>(8, 1.0F));
  // Block by block, without a model.
  const auto specs = declare_parameters(config);
  const parallel::CanonicalSpace space(specs);
  std::vector<float> whole;
  for (const auto& spec : specs) {
    whole.insert(whole.end(), one.at(spec.name).begin(), one.at(spec.name).end());
  }
  for (std::int64_t begin = 0; begin < space.num_elements(); begin += 100) {
    const std::int64_t end = std::min<std::int64_t>(begin + 100, space.num_elements());
    std::vector<float> block(static_cast<std::size_t>(end - begin));
    initialise_range(specs, space, 77, begin, block);
    EXPECT_EQ(block, std::vector<float>(whole.begin() + begin, whole.begin() + end)) << begin;
  }
  EXPECT_NEAR(largest(one.at("lm_head.weight")), 0.9F, 0.5F);
}

TEST(SequenceRuns, RanksHoldAFrontAndItsMirrorImageAndSeeTheSameNumberOfKeys) {
  EXPECT_EQ(sequence_runs(GlobalLength(12), 3, 0).begins, (std::vector<std::int64_t>{0, 10}));
  EXPECT_EQ(sequence_runs(GlobalLength(12), 3, 2).begins, (std::vector<std::int64_t>{4, 6}));
  EXPECT_EQ(sequence_runs(GlobalLength(12), 3, 2).length, 2);
  EXPECT_EQ(sequence_runs(GlobalLength(9), 3, 1).begins, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(sequence_runs(GlobalLength(9), 1, 0).length, 9);
  std::vector<std::int64_t> seen;
  for (int rank = 0; rank < 4; ++rank) {
    const SequenceRuns runs = sequence_runs(GlobalLength(64), 4, rank);
    seen.push_back(0);
    for (const std::int64_t begin : runs.begins) {
      for (std::int64_t i = 0; i < runs.length; ++i) seen.back() += begin + i + 1;
    }
  }
  EXPECT_EQ(seen, (std::vector<std::int64_t>(4, 64 * 65 / 2 / 4)));
}

TEST(Parameters, LayoutsAndConfigurationsThatDoNotFitAreRefused) {
  ModelConfig config = tiny_config();
  const auto code = [](const auto& work) {
    try {
      work();
    } catch (const Error& error) {
      return std::string(error.code().name);
    }
    return std::string("none");
  };
  EXPECT_EQ(code([&] { check_layout(config, {.tp = 3}); }), "model.bad_layout");
  EXPECT_EQ(code([&] { check_layout(config, {.tp = 4}); }), "none");  // two share each kv head
  EXPECT_EQ(code([&] { check_layout(config, {.pp = 3}); }), "model.bad_layout");
  EXPECT_EQ(code([&] { check_layout(config, {.pp = 2}, 2); }), "model.bad_layout");
  config.tied = true;
  const auto table = declare_parameters(config, {.stages = 2}).front();
  EXPECT_EQ(table.stages, (std::vector<int>{0, 1}));
  EXPECT_TRUE(table.gradient_summed_over.pp);
  config.heads = 3;
  EXPECT_EQ(code([&] { config.validate(); }), "model.bad_config");
  EXPECT_EQ(code([&] { local_length(GlobalLength(10), 3); }), "model.bad_layout");
  EXPECT_EQ(local_length(GlobalLength(12), 3), LocalLength(4));
}

}  // namespace
}  // namespace concordat::model::test
