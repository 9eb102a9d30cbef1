// The collectives of layers, on groups of one, two and three ranks.
#include "concordat/model/collective_ops.hpp"

#include "support.hpp"

namespace concordat::model::test {
namespace {

class CollectiveOpsTest : public testing::TestWithParam<int> {};

TEST_P(CollectiveOpsTest, ForwardAndBackwardAreAdjoint) {
  const int n = GetParam();
  comm::run_threads(n, [&](comm::Communicator& comm) {
    device::Session session("reference");
    device::Exec& exec = session.exec();
    parallel::ProcessMesh mesh(comm, {.tp = n});
    const auto rank = static_cast<float>(comm.rank());
    EXPECT_EQ(index_on(mesh, Axis::tp), comm.rank());
    EXPECT_EQ(index_on(mesh, Axis::pp), 0);
    const auto values = [&](std::int64_t rows, float base) {
      std::vector<float> all(static_cast<std::size_t>(rows) * 2);
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = base + static_cast<float>(i);
      return session.upload<float>({rows, 2}, std::span<const float>(all));
    };
    const float sum_of_ranks = static_cast<float>(n * (n - 1)) / 2.0F;

    // f and g: one sums where the other does nothing.
    const Tensor x = values(1, rank);
    copy_to_axis_forward(exec, mesh, Axis::tp, x);
    EXPECT_EQ(to_host(exec, x), (std::vector<float>{rank, rank + 1}));
    copy_to_axis_backward(exec, mesh, Axis::tp, x);
    const auto count = static_cast<float>(n);
    EXPECT_EQ(to_host(exec, x), (std::vector<float>{sum_of_ranks, sum_of_ranks + count}));
    const Tensor y = values(1, rank);
    reduce_from_axis_forward(exec, mesh, Axis::tp, y);
    EXPECT_EQ(to_host(exec, y), (std::vector<float>{sum_of_ranks, sum_of_ranks + count}));
    reduce_from_axis_backward(exec, mesh, Axis::tp, y);
    EXPECT_EQ(to_host(exec, y), (std::vector<float>{sum_of_ranks, sum_of_ranks + count}));

    // Gather and scatter: <gather(a), b> = <a, gather_backward(b)>, summed over the ranks.
    const Tensor part = values(1, 10.0F * rank);
    const Tensor whole = session.backend().allocate(Dtype::f32, {n, 2});
    gather_rows_forward(exec, mesh, Axis::tp, whole, part);
    const auto gathered = to_host(exec, whole);
    for (int r = 0; r < n; ++r) {
      EXPECT_EQ(gathered[2 * static_cast<std::size_t>(r)], 10.0F * static_cast<float>(r));
    }
    const Tensor grad_whole = values(n, rank);
    const Tensor grad_part = session.backend().allocate(Dtype::f32, {1, 2});
    gather_rows_backward(exec, mesh, Axis::tp, grad_part, grad_whole);
    EXPECT_EQ(to_host(exec, grad_part)[0], sum_of_ranks + count * 2.0F * rank);
    scatter_rows_forward(exec, mesh, Axis::tp, grad_part, grad_whole);
    EXPECT_EQ(to_host(exec, grad_part)[1], sum_of_ranks + count * (2.0F * rank + 1.0F));
    scatter_rows_backward(exec, mesh, Axis::tp, whole, part);
    EXPECT_EQ(to_host(exec, whole), gathered);

    const Tensor most = values(1, rank);
    maximum_over_axis(exec, mesh, Axis::tp, most);
    EXPECT_EQ(to_host(exec, most)[0], count - 1.0F);
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, CollectiveOpsTest, testing::Values(1, 2, 3));

}  // namespace
}  // namespace concordat::model::test
