// Several ranks with a GPU each: the losses, gradients and weights of the reference on one rank.
// Ranks are threads here; cuda_mpi_test.cpp has processes.
#include "concordat/device/errors.hpp"
#include "unit/train/cuda_support.hpp"

namespace concordat::train::test {
namespace {

struct Layout {
  std::string name;
  parallel::MeshShape shape{};
  bool sequence_parallel = false;
  int zero = 0;
};

const Layout layouts[] = {
    {.name = "Tp2", .shape = {.tp = 2}},
    {.name = "Tp2SequenceParallel", .shape = {.tp = 2}, .sequence_parallel = true},
    {.name = "Pp2", .shape = {.pp = 2}},
    {.name = "Cp2", .shape = {.cp = 2}},
    {.name = "Dp2", .shape = {.dp = 2}},
    {.name = "Dp2Zero1", .shape = {.dp = 2}, .zero = 1},
    {.name = "SixRanks", .shape = {.dp = 3, .tp = 2}, .sequence_parallel = true, .zero = 1},
};

class CudaLayouts : public testing::TestWithParam<std::tuple<model::Family, Layout>> {};

TEST_P(CudaLayouts, TrainToTheReferencesLosses) {
  const auto& [family, layout] = GetParam();
  TrainSettings settings = family == model::Family::gpt2 ? tiny_gpt2() : tiny_settings();
  settings.sequence_parallel = layout.sequence_parallel;
  settings.zero = layout.zero;
  expect_the_references(settings, 2e-5, 5e-6F, 1e-6F, layout.shape);
}

INSTANTIATE_TEST_SUITE_P(All, CudaLayouts,
                         testing::Combine(testing::Values(model::Family::llama,
                                                          model::Family::gpt2),
                                          testing::ValuesIn(layouts)),
                         [](const auto& given) {
                           return std::string(name_of(std::get<0>(given.param))) +
                                  std::get<1>(given.param).name;
                         });

TEST(CudaLayout, ReproducibleModeIsRefusedOnSeveralGpus) {
  TrainSettings settings = tiny_settings();
  settings.reproducible = true;
  settings.batch = 8;
  settings.logical_batch = 1;
  try {
    train("cuda", {.dp = 2}, settings, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), device::errors::not_on_this_device);
    EXPECT_EQ(error.fields().found, "2 ranks");
  }
}

TEST(CudaLayout, AMeshOfTheHostsCommunicatorIsABug) {
  EXPECT_THROW(comm::run_threads(2,
                                 [](comm::Communicator& comm) {
                                   device::Session session("cuda", {.local_rank = comm.rank()});
                                   parallel::ProcessMesh mesh(comm, {.dp = 2});
                                   MadeUpData data(11);
                                   Trainer trainer(tiny_settings(), session.exec(), mesh, data,
                                                   system_clock());
                                 }),
               Bug);
}

}  // namespace
}  // namespace concordat::train::test
