#include "concordat/parallel/reshard.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "concordat/comm/threads.hpp"
#include "unit/parallel/reshard_suite.hpp"
#include "unit/parallel/test_model.hpp"

namespace concordat::parallel {
namespace {

TEST(Intersect, equal_runs_at_equal_distance_become_one_strided_copy) {
  const std::vector<Segment> column{{2, 2, 100, 4, 0, 2}};  // right half of [100, 4]
  const std::vector<Segment> all{{0, 400, 1, 0, 0, 0}};
  EXPECT_EQ(intersect(column, all), (std::vector<Copy>{{0, 2, 2, 100, 2, 4}}));
  EXPECT_EQ(intersect(all, column), (std::vector<Copy>{{2, 0, 2, 100, 4, 2}}));
}

TEST(Intersect, strided_against_strided_of_other_widths) {
  // [4, 6] as two columns of 3 against three columns of 2: the middle of the three meets both.
  const std::vector<Segment> left{{0, 3, 4, 6, 0, 3}};
  const std::vector<Segment> middle{{2, 2, 4, 6, 0, 2}};
  EXPECT_EQ(intersect(left, middle), (std::vector<Copy>{{2, 0, 1, 4, 3, 2}}));
}

TEST(ReshardPlan, missing_and_doubled_owners_are_refused) {
  const std::vector<std::vector<Segment>> whole{{{0, 10, 1, 0, 0, 0}}, {}};
  const std::vector<std::vector<Segment>> part{{{0, 9, 1, 0, 0, 0}}, {}};
  const std::vector<std::vector<Segment>> twice{{{0, 10, 1, 0, 0, 0}}, {{0, 10, 1, 0, 0, 0}}};
  EXPECT_NO_THROW(ReshardPlan::make(0, whole, twice));
  EXPECT_THROW(ReshardPlan::make(0, part, whole), Error);
  EXPECT_THROW(ReshardPlan::make(0, twice, whole), Error);
}

TEST(ReshardPlan, every_layout_goes_to_slices_and_back) {
  for (const auto& mesh : test_meshes(6)) {
    comm::run_threads(mesh.size(), [&](comm::Communicator& comm) {
      check_layout_to_slices_and_back(comm, mesh, /*block_log2=*/5);
    });
  }
}

TEST(ReshardPlan, random_pairs_of_layouts_map_to_each_other) {
  // The same ranks under two meshes: what a restore in another layout does.
  const auto meshes = test_meshes(6);
  std::mt19937 random(3);
  for (int repeat = 0; repeat < 60; ++repeat) {
    const auto& from = meshes[random() % meshes.size()];
    const auto& to = meshes[random() % meshes.size()];
    const int ranks = std::max(from.size(), to.size());
    comm::run_threads(ranks,
                      [&](comm::Communicator& comm) { check_layout_to_layout(comm, from, to); });
  }
}

TEST(ReshardPlan, messages_longer_than_a_chunk_arrive_whole) {
  comm::run_threads(3, [](comm::Communicator& comm) {
    // Each rank owns every third run of a space of 2.4 M elements; all want everything.
    const std::int64_t run = 1001;
    const std::int64_t count = 800;
    const std::int64_t total = 3 * run * count;
    const std::vector<Segment> owned{{run * comm.rank(), run, count, 3 * run, 0, run}};
    const std::vector<Segment> held{{0, total, 1, 0, 0, 0}};
    const auto plan = ReshardPlan::make(comm, owned, held);
    Tensor mine = host_tensor(Dtype::i32, {run * count});
    for (std::int64_t i = 0; i < run * count; ++i) {
      mine.span<std::int32_t>()[i] =
          static_cast<std::int32_t>(i / run * 3 * run + run * comm.rank() + i % run);
    }
    Tensor all = host_tensor(Dtype::i32, {total});
    execute(plan, comm, {mine}, {all});
    for (std::int64_t i = 0; i < total; ++i) ASSERT_EQ(all.span<std::int32_t>()[i], i);
  });
}

TEST(ReshardPlan, serves_every_element_width) {
  comm::run_threads(2, [](comm::Communicator& comm) {
    const Slice slice = slice_of(comm.rank(), 2, 10, 1);
    const std::vector<Segment> held{{0, 10, 1, 0, 0, 0}};
    const auto plan = ReshardPlan::make(comm, layout_of(slice).owned, held);
    for (Dtype dtype : {Dtype::u8, Dtype::bf16, Dtype::f64}) {
      Tensor mine = host_tensor(dtype, {slice.count()});
      std::memset(mine.raw_bytes(), comm.rank() + 1, mine.size_bytes());
      Tensor all = host_tensor(dtype, {10});
      execute(plan, comm, {mine}, {all});
      EXPECT_EQ(all.raw_bytes()[0], std::byte{1});
      EXPECT_EQ(all.raw_bytes()[all.size_bytes() - 1], std::byte{2});
    }
  });
}

}  // namespace
}  // namespace concordat::parallel
