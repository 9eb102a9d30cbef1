#include "unit/parallel/reshard_suite.hpp"

#include <gtest/gtest.h>

#include "concordat/parallel/reshard.hpp"
#include "unit/parallel/test_model.hpp"

namespace concordat::parallel {

namespace {

/// The local flat space as one tensor a parameter, each element its canonical index.
std::vector<Tensor> filled(const MeshShape& mesh, const LocalLayout& layout, int rank, bool fill) {
  std::vector<Tensor> tensors;
  if (rank >= mesh.size()) return tensors;
  const auto values = canonical_values(layout);
  std::size_t at = 0;
  for (const auto& spec : test_model(mesh)) {
    const auto coords = coords_of(mesh, rank);
    if (!holds(spec, coords)) continue;
    Tensor tensor = host_tensor(Dtype::i32, local_shape(spec, mesh, coords));
    for (auto& value : tensor.span<std::int32_t>()) {
      value = fill ? values[at] : -1;
      ++at;
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

LocalLayout layout_or_nothing(const MeshShape& mesh, int rank) {
  if (rank >= mesh.size()) return {};
  const auto specs = test_model(mesh);
  return layout_of(specs, CanonicalSpace(specs), mesh, coords_of(mesh, rank));
}

void expect_canonical(const std::vector<Tensor>& tensors, const LocalLayout& layout,
                      const std::string& what) {
  const auto expected = canonical_values(layout);
  std::size_t at = 0;
  for (const auto& tensor : tensors) {
    for (auto value : tensor.span<std::int32_t>()) ASSERT_EQ(value, expected[at++]) << what;
  }
  EXPECT_EQ(at, expected.size());
}

}  // namespace

void check_layout_to_slices_and_back(comm::Communicator& comm, const MeshShape& mesh,
                                     int block_log2) {
  const auto layout = layout_or_nothing(mesh, comm.rank());
  const CanonicalSpace space(test_model(mesh));
  const Slice slice = slice_of(comm.rank(), comm.size(), space.num_elements(), block_log2);
  const auto down = ReshardPlan::make(comm, layout.owned, layout_of(slice).held);
  Tensor mine = host_tensor(Dtype::i32, {slice.count()});
  execute(down, comm, filled(mesh, layout, comm.rank(), true), std::vector<Tensor>{mine});
  for (std::int64_t i = 0; i < slice.count(); ++i) {
    ASSERT_EQ(mine.span<std::int32_t>()[i], slice.begin + i) << mesh.text();
  }
  const auto up = ReshardPlan::make(comm, layout_of(slice).owned, layout.held);
  const auto back = filled(mesh, layout, comm.rank(), false);
  execute(up, comm, std::vector<Tensor>{mine}, back);
  expect_canonical(back, layout, mesh.text());
}

void check_layout_to_layout(comm::Communicator& comm, const MeshShape& from, const MeshShape& to) {
  const auto source = layout_or_nothing(from, comm.rank());
  const auto target = layout_or_nothing(to, comm.rank());
  const auto plan = ReshardPlan::make(comm, source.owned, target.held);
  const auto arrived = filled(to, target, comm.rank(), false);
  execute(plan, comm, filled(from, source, comm.rank(), true), arrived);
  expect_canonical(arrived, target, from.text() + " to " + to.text());
}

}  // namespace concordat::parallel
