#include <gtest/gtest.h>

#include "concordat/comm/threads.hpp"
#include "concordat/device/errors.hpp"
#include "device/cuda/nccl.hpp"

namespace concordat::device::cuda {
namespace {

TEST(NoNccl, OneRankNeedsNoneAndSeveralAreRefusedByName) {
  const auto alone = comm::self_communicator();
  EXPECT_EQ(make_communicator(nullptr, *alone), nullptr);
  EXPECT_TRUE(reaches_gpus(*alone));
  try {
    comm::run_threads(2, [](comm::Communicator& comm) {
      EXPECT_FALSE(reaches_gpus(comm));
      make_communicator(nullptr, comm);
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), errors::no_nccl);
    EXPECT_EQ(error.fields().found, "2 ranks");
  }
}

}  // namespace
}  // namespace concordat::device::cuda
