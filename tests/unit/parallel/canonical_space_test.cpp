#include "concordat/parallel/canonical_space.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "concordat/comm/threads.hpp"

#include "unit/parallel/test_model.hpp"

namespace concordat::parallel {
namespace {

TEST(Mesh, tp_is_innermost_then_cp_pp_dp) {
  const MeshShape shape{.dp = 2, .pp = 3, .cp = 2, .tp = 2};
  EXPECT_EQ(coords_of(shape, 0), (MeshCoords{0, 0, 0, 0}));
  EXPECT_EQ(coords_of(shape, 1), (MeshCoords{0, 0, 0, 1}));
  EXPECT_EQ(coords_of(shape, 2), (MeshCoords{0, 0, 1, 0}));
  EXPECT_EQ(coords_of(shape, 4), (MeshCoords{0, 1, 0, 0}));
  EXPECT_EQ(coords_of(shape, 12), (MeshCoords{1, 0, 0, 0}));
  for (int rank = 0; rank < shape.size(); ++rank) {
    EXPECT_EQ(rank_of(shape, coords_of(shape, rank)), rank);
  }
}

TEST(Mesh, a_row_of_six_ranks_has_the_groups_of_its_axes) {
  comm::run_threads(6, [](comm::Communicator& comm) {
    ProcessMesh mesh(comm, {.dp = 3, .pp = 1, .cp = 1, .tp = 2});
    EXPECT_EQ(mesh.axis(Axis::tp).size(), 2);
    EXPECT_EQ(mesh.axis(Axis::tp).rank(), comm.rank() % 2);
    EXPECT_EQ(mesh.axis(Axis::dp).size(), 3);
    EXPECT_EQ(mesh.axis(Axis::dp).rank(), comm.rank() / 2);
    EXPECT_EQ(mesh.axis(Axis::pp).size(), 1);
    EXPECT_EQ(mesh.replicas().size(), 3);
    std::vector<std::int32_t> sum{comm.rank()};
    comm::all_reduce_host<std::int32_t>(mesh.axis(Axis::tp), sum, comm::ReduceOp::sum);
    EXPECT_EQ(sum[0], comm.rank() / 2 * 4 + 1);
  });
}

TEST(Mesh, a_mesh_of_another_size_is_refused_with_the_arithmetic) {
  comm::run_threads(3, [](comm::Communicator& comm) {
    try {
      ProcessMesh mesh(comm, {.dp = 2, .pp = 1, .cp = 1, .tp = 2});
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), errors::bad_layout);
      EXPECT_NE(error.fields().found.find("4 ranks"), std::string::npos);
    }
  });
}

TEST(ShardRange, fewer_heads_than_ranks_are_shared_and_owned_once) {
  const ParameterSpec k{.name = "k", .shape = {8, 3}, .shard_axis = 0, .groups = 2};
  EXPECT_EQ(shard_range(k, 4, 0).begin, 0);
  EXPECT_EQ(shard_range(k, 4, 1).begin, 0);
  EXPECT_EQ(shard_range(k, 4, 3).begin, 4);
  EXPECT_EQ(shard_range(k, 4, 3).count, 4);
  EXPECT_TRUE(shard_range(k, 4, 2).owner);
  EXPECT_FALSE(shard_range(k, 4, 3).owner);
  EXPECT_EQ(sharers(k, 4), 2);
  EXPECT_EQ(sharers(k, 2), 1);
  EXPECT_THROW(shard_range(k, 3, 0), Error);
}

TEST(ShardRange, a_padded_vocabulary_may_leave_the_last_rank_nothing) {
  const ParameterSpec v{.name = "v", .shape = {9, 2}, .shard_axis = 0, .padded = true};
  EXPECT_EQ(shard_range(v, 4, 2).count, 3);
  EXPECT_EQ(shard_range(v, 4, 3).count, 0);
  EXPECT_EQ(local_shape(v, {.tp = 4}, {.tp = 3}), (Shape{3, 2}));
}

TEST(ShardRange, a_tp_that_does_not_divide_is_refused_by_name) {
  const ParameterSpec q{.name = "layer.q", .shape = {10, 4}, .shard_axis = 0};
  try {
    shard_range(q, 4, 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::bad_layout);
    EXPECT_NE(error.fields().where.find("layer.q"), std::string::npos);
  }
}

TEST(CanonicalSpace, follows_the_declared_order) {
  const auto specs = test_model({});
  const CanonicalSpace space(specs);
  EXPECT_EQ(space.tensors()[0].begin, 0);
  EXPECT_EQ(space.tensors()[1].begin, 132);
  EXPECT_EQ(space.num_elements(), 132 + 4 * (12 + 144 + 48 + 144) + 12);
  EXPECT_EQ(space.tensor_at(131).name, "embed");
  EXPECT_EQ(space.tensor_at(132).name, "layers.0.norm");
  EXPECT_EQ(space.num_blocks(10), 2);
}

TEST(CanonicalSpace, a_name_declared_twice_is_refused) {
  std::vector<ParameterSpec> specs{{.name = "a", .shape = {1}}, {.name = "a", .shape = {2}}};
  EXPECT_THROW(CanonicalSpace{specs}, Error);
}

TEST(CanonicalSpace, a_row_parallel_shard_has_one_strided_segment) {
  std::vector<ParameterSpec> specs{{.name = "o", .shape = {3, 4}, .shard_axis = 1}};
  const CanonicalSpace space(specs);
  const auto layout = layout_of(specs, space, {.tp = 2}, {.tp = 1});
  ASSERT_EQ(layout.held.size(), 1U);
  EXPECT_EQ(layout.held[0], (Segment{2, 2, 3, 4, 0, 2}));
}

TEST(CanonicalSpace, is_the_same_on_every_mesh_and_each_element_has_one_owner) {
  const CanonicalSpace reference(test_model({}));
  for (const auto& mesh : test_meshes(24)) {
    const auto specs = test_model(mesh);
    const CanonicalSpace space(specs);
    ASSERT_EQ(space.num_elements(), reference.num_elements());
    std::vector<int> owners(static_cast<std::size_t>(space.num_elements()), 0);
    std::vector<int> holders = owners;
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const auto layout = layout_of(specs, space, mesh, coords_of(mesh, rank));
      for (auto index : canonical_values(layout)) {
        if (index >= 0) ++holders[static_cast<std::size_t>(index)];
      }
      LocalLayout owned = layout;
      owned.held = layout.owned;
      for (auto index : canonical_values(owned)) {
        if (index >= 0) ++owners[static_cast<std::size_t>(index)];
      }
    }
    for (std::size_t i = 0; i < owners.size(); ++i) {
      ASSERT_EQ(owners[i], 1) << mesh.text() << " element " << i;
      ASSERT_EQ(holders[i] % (mesh.dp * mesh.cp), 0) << mesh.text() << " element " << i;
    }
  }
}

TEST(Slice, slices_cover_all_blocks_in_order) {
  for (int ranks : {1, 2, 3, 6, 7}) {
    for (std::int64_t elements : {1, 5, 16, 17, 100}) {
      std::int64_t at = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Slice slice = slice_of(rank, ranks, elements, 2);
        EXPECT_EQ(slice.begin, at);
        at = slice.end;
      }
      EXPECT_EQ(at, elements);
    }
  }
}

TEST(Spans, short_parts_join_the_next_and_the_last_the_one_before) {
  // Block 0 of 2^14: 100 | 5000 | 200 | 300 | 6000 | rest 4784 of a tensor of 20000.
  std::vector<ParameterSpec> specs;
  for (std::int64_t n : {100, 5000, 200, 300, 6000, 20000, 7}) {
    specs.push_back({.name = "t" + std::to_string(n), .shape = {n}});
  }
  const CanonicalSpace space(specs);
  EXPECT_EQ(spans_of_block(space, 14, 0),
            (std::vector<Span>{{0, 5100}, {5100, 6500}, {11600, 4784}}));
  // Block 1: 15216 of the long tensor and the 7 that join it.
  EXPECT_EQ(spans_of_block(space, 14, 1), (std::vector<Span>{{16384, 15223}}));
}

TEST(Spans, a_short_block_is_one_span) {
  const CanonicalSpace space(
      std::vector<ParameterSpec>{{.name = "a", .shape = {10}}, {.name = "b", .shape = {20}}});
  EXPECT_EQ(spans_of_block(space, 14, 0), (std::vector<Span>{{0, 30}}));
}

TEST(Spans, cover_every_block_and_are_long_enough) {
  std::mt19937 random(7);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<ParameterSpec> specs;
    for (int i = 0; i < 12; ++i) {
      const auto n = static_cast<std::int64_t>(random() % (random() % 2 == 0 ? 500 : 20000) + 1);
      specs.push_back({.name = std::to_string(i), .shape = {n}});
    }
    const CanonicalSpace space(specs);
    for (std::int64_t block = 0; block < space.num_blocks(14); ++block) {
      const auto spans = spans_of_block(space, 14, block);
      std::int64_t at = block << 14;
      for (const auto& span : spans) {
        EXPECT_EQ(span.begin, at);
        if (spans.size() > 1) {
          EXPECT_GE(span.count, min_span_elements);
        }
        at += span.count;
      }
      EXPECT_EQ(at, std::min(space.num_elements(), (block + 1) << 14));
    }
  }
}

}  // namespace
}  // namespace concordat::parallel
