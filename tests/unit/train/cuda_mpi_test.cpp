// Ranks that are processes under mpirun, each with an emulated GPU: NCCL's ids travel over MPI.
#include "concordat/comm/runtime.hpp"
#include "unit/device/cuda/gpu_ranks.hpp"
#include "unit/train/cuda_support.hpp"

namespace concordat::train::test {
namespace {

comm::Runtime make_runtime() {
  static char name[] = "test";
  static char* arguments[] = {name, nullptr};
  int argc = 1;
  char** argv = arguments;
  return comm::Runtime::start(argc, argv, {.stall_timeout = std::chrono::seconds(40)});
}

TEST(CudaMpi, DoesEveryCollectiveOnSixProcesses) {
  auto runtime = make_runtime();
  auto split = runtime.split({comm::Role::train, "test"});
  comm::Communicator& comm = *split.ranks;
  ASSERT_EQ(comm.size(), 6);
  EXPECT_EQ(comm::local_rank(comm), comm.rank());
  device::Session session("cuda", {.local_rank = comm::local_rank(comm)});
  const auto ranks = session.backend().communicator(comm);
  device::testing::DeviceDesk desk(session);
  comm::check_all_collectives_on(*ranks, desk);
  comm::check_all_collectives_on(*ranks->split(comm.rank() % 2, comm.rank()), desk);
}

// More than a socket holds (208 KiB by Linux's default), by all ranks at one time.
TEST(CudaMpi, LargeOperandsCrossEachOther) {
  auto runtime = make_runtime();
  auto split = runtime.split({comm::Role::train, "test"});
  comm::Communicator& comm = *split.ranks;
  device::Session session("cuda", {.local_rank = comm::local_rank(comm)});
  const auto ranks = session.backend().communicator(comm);
  device::testing::DeviceDesk desk(session);
  const std::int64_t count = 1 << 18;
  for (int round = 0; round < 5; ++round) {
    Tensor host = host_tensor(Dtype::f32, {count});
    std::ranges::fill(host.span<float>(), static_cast<float>(comm.rank() + round));
    const Tensor there = desk.put(host);
    ranks->all_reduce(there, comm::ReduceOp::sum, desk.stream()).wait();
    host = desk.get(there);
    EXPECT_EQ(std::ranges::count(host.span<float>(), static_cast<float>(15 + 6 * round)), count);
  }
}

TEST(CudaMpi, TrainsOnPairsAndOnSixProcessesToTheReferencesLosses) {
  auto runtime = make_runtime();
  auto split = runtime.split({comm::Role::train, "test"});
  TrainSettings settings = tiny_settings();
  const Outcome oracle = train("reference", {}, settings, 2);
  const auto check = [&](comm::Communicator& comm, const parallel::MeshShape& shape) {
    Outcome found;
    std::mutex mutex;
    train_on(comm, "cuda", shape, settings, 2, found, mutex);
    for (std::size_t step = 0; step < 2; ++step) {
      EXPECT_NEAR(found.reports[step].loss, oracle.reports[step].loss, 2e-5) << shape.text();
    }
    EXPECT_NEAR(found.validation.nats_per_token, oracle.validation.nats_per_token, 2e-5);
  };
  const auto pair = split.ranks->split(split.ranks->rank() / 2, split.ranks->rank());
  check(*pair, {.tp = 2});
  check(*pair, {.pp = 2});
  check(*pair, {.cp = 2});
  settings.zero = 1;
  settings.sequence_parallel = true;
  check(*split.ranks, {.dp = 3, .tp = 2});
}

}  // namespace
}  // namespace concordat::train::test
