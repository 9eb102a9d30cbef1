// Six ranks under mpirun: odd meshes to slices and back, and into one another.
#include <gtest/gtest.h>

#include "concordat/comm/runtime.hpp"
#include "unit/parallel/reshard_suite.hpp"

namespace concordat::parallel {
namespace {

TEST(ParallelMpi, odd_meshes_of_six_reshard) {
  static char name[] = "test";
  static char* arguments[] = {name, nullptr};
  int argc = 1;
  char** argv = arguments;
  auto runtime = comm::Runtime::start(argc, argv);
  auto split = runtime.split({comm::Role::train, "test"});
  auto& comm = *split.ranks;
  const std::vector<MeshShape> meshes{{6, 1, 1, 1}, {3, 1, 1, 2}, {1, 3, 1, 2},
                                      {1, 3, 2, 1}, {1, 1, 1, 6}, {1, 1, 1, 4}};
  for (const auto& mesh : meshes) check_layout_to_slices_and_back(comm, mesh, 5);
  for (const auto& from : meshes) {
    for (const auto& to : meshes) check_layout_to_layout(comm, from, to);
  }
}

}  // namespace
}  // namespace concordat::parallel
