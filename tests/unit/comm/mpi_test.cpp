// Six ranks under mpirun.
#include <gtest/gtest.h>

#include <thread>

#include "concordat/comm/agree.hpp"
#include "concordat/comm/runtime.hpp"
#include "unit/comm/collectives_suite.hpp"

namespace concordat::comm {
namespace {

using namespace std::chrono_literals;

Runtime make_runtime(const CommOptions& options = {.stall_timeout = std::chrono::seconds(30)}) {
  static char name[] = "test";
  static char* arguments[] = {name, nullptr};
  int argc = 1;
  char** argv = arguments;
  return Runtime::start(argc, argv, options);
}

TEST(Mpi, does_every_collective_on_six_ranks) {
  auto runtime = make_runtime();
  auto split = runtime.split({Role::train, "test"});
  ASSERT_EQ(split.ranks->size(), 6);
  check_all_collectives(*split.ranks);
}

TEST(Mpi, does_every_collective_in_parts_of_three_bytes) {
  auto runtime = make_runtime({.stall_timeout = 30s, .max_message_bytes = 3});
  check_all_collectives(*runtime.split({Role::train, "test"}).ranks);
}

TEST(Mpi, odd_splits_work_side_by_side) {
  auto runtime = make_runtime();
  auto split = runtime.split({Role::train, "test"});
  auto& comm = *split.ranks;
  const int color = comm.rank() < 3 ? 0 : comm.rank() < 5 ? 1 : 2;
  auto part = comm.split(color, -comm.rank());
  EXPECT_EQ(part->size(), 3 - color);
  check_all_collectives(*part);
  auto column = comm.split(comm.rank() % 2, comm.rank());
  EXPECT_EQ(column->size(), 3);
  check_all_collectives(*column);
  check_all_collectives(comm);
}

TEST(Mpi, large_messages_cross_each_other) {
  auto runtime = make_runtime();
  auto split = runtime.split({Role::train, "test"});
  auto& comm = *split.ranks;
  InlineStream stream;
  const std::int64_t count = 1 << 20;  // far beyond the eager limit
  Tensor x = host_tensor(Dtype::f32, {count});
  for (auto& value : x.span<float>()) value = static_cast<float>(comm.rank());
  comm.send(x, 5 - comm.rank(), 0, stream);
  Tensor y = host_tensor(Dtype::f32, {count});
  comm.recv(y, 5 - comm.rank(), 0, stream);
  EXPECT_EQ(y.span<float>()[count - 1], static_cast<float>(5 - comm.rank()));
  comm.all_reduce(y, ReduceOp::sum, stream);
  EXPECT_EQ(y.span<float>()[12345], 15.0F);
}

TEST(Mpi, everybody_throws_an_agreed_error) {
  auto runtime = make_runtime();
  auto split = runtime.split({Role::train, "test"});
  auto& comm = *split.ranks;
  EXPECT_THROW(agreed(comm,
                      [&] {
                        if (comm.rank() == 3) {
                          throw Error(concordat::errors::malformed, {.what = "torn"});
                        }
                      }),
               AgreedError);
  comm.barrier();
}

TEST(Mpi, a_failed_rank_is_named_to_all_others) {
  auto runtime = make_runtime();
  auto split = runtime.split({Role::train, "test"});
  auto& comm = *split.ranks;
  auto part = comm.split(comm.rank() / 2, 0);
  if (comm.rank() == 2) {
    std::this_thread::sleep_for(50ms);
    comm.fail(Error(concordat::errors::disk_full, {.what = "no space"}));
    return;
  }
  try {
    comm.barrier();
    ADD_FAILURE() << "rank " << comm.rank() << " passed without rank 2";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::peer_failed);
    EXPECT_EQ(error.exit_code(), ExitCode::data);
    EXPECT_NE(std::string(error.what()).find("rank 2"), std::string::npos) << error.what();
  }
  EXPECT_THROW(part->barrier(), Error);
}

TEST(Mpi, a_stall_names_the_rank_that_is_waited_for) {
  auto runtime = make_runtime({.stall_timeout = 300ms});
  auto split = runtime.split({Role::train, "test"});
  auto& comm = *split.ranks;
  if (comm.rank() == 1) {
    std::this_thread::sleep_for(1s);
    return;
  }
  try {
    InlineStream stream;
    Tensor x = host_tensor(Dtype::f32, {1});
    comm.recv(x, 1, 0, stream);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == errors::stalled || error.code() == errors::peer_failed);
    EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos) << error.what();
  }
}

TEST(Mpi, the_report_names_six_ranks) {
  auto runtime = make_runtime();
  auto split = runtime.split({Role::train, "test"});
  EXPECT_EQ(placement_report(*split.ranks, 1).lines.size(), 6U);
}

}  // namespace
}  // namespace concordat::comm
