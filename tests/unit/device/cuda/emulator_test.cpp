// What the emulated CUDA catches: for each kind of mistake a kernel or a program that makes it, and
// the same without it.
#include "emulator.hpp"

#include <sys/wait.h>

#include <csignal>

#include "concordat/device/errors.hpp"
#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/cuda_stream.hpp"
#include "device/cuda/launch.cuh"
#include "device/cuda/packs.cuh"
#include "device/cuda/reduce.cuh"
#include "device/cuda/views.cuh"
#include "unit/device/device_testing.hpp"

namespace concordat::device::cuda {
namespace {

// Rotates 64 numbers through shared memory.
__global__ void rotate_kernel(Vec<float> out, Vec<float> in, bool barrier) {
  __shared__ Shared<float, 64> values;
  const int i = static_cast<int>(threadIdx.x);
  values.store(i, in.load(i));
  if (barrier) __syncthreads();
  out.store(i, values.load((i + 33) % 64));
}

// Writes what others may not have read yet.
__global__ void reuse_kernel(Vec<float> out, Vec<float> in, bool barrier) {
  __shared__ Shared<float, 64> values;
  const int i = static_cast<int>(threadIdx.x);
  values.store(i, in.load(i));
  __syncthreads();
  const float got = values.load((i + 33) % 64);
  if (barrier) __syncthreads();
  values.store(i, got);
  out.store(i, got);
}

// Inside a warp __syncwarp is enough.
__global__ void warp_kernel(Vec<float> out, Vec<float> in, bool barrier) {
  __shared__ Shared<float, 64> values;
  const int i = static_cast<int>(threadIdx.x);
  values.store(i, in.load(i));
  if (barrier) __syncwarp();
  out.store(i, values.load(i ^ 1));
}

__global__ void unset_shared_kernel(Vec<float> out, Vec<float> in, bool all) {
  __shared__ Shared<float, 64> values;
  const int i = static_cast<int>(threadIdx.x);
  if (all || i != 5) values.store(i, in.load(i));
  __syncthreads();
  out.store(i, values.load(63 - i));
}

__global__ void divergent_barrier_kernel(Vec<float> out, Vec<float> in, bool all) {
  const int i = static_cast<int>(threadIdx.x);
  if (all || i < 40) __syncthreads();
  out.store(i, in.load(i));
}

__global__ void divergent_shuffle_kernel(Vec<float> out, Vec<float> in, bool all) {
  const int i = static_cast<int>(threadIdx.x);
  float value = in.load(i);
  if (all || i != 3) value += __shfl_xor_sync(whole_warp, value, 1);
  out.store(i, value);
}

__global__ void crossed_kernel(Vec<float> out, Vec<float> in, bool same) {
  const int i = static_cast<int>(threadIdx.x);
  if (same || i < 32) {
    __syncthreads();
    __syncwarp();
  } else {
    __syncwarp();
  }
  out.store(i, in.load(i));
}

// All threads write one element: the last one wins.
__global__ void racing_kernel(Vec<float> out, Vec<float> in, bool alone) {
  const int i = static_cast<int>(threadIdx.x);
  if (!alone || i == 7) out.store(0, in.load(i));
}

__global__ void index_kernel(Vec<float> out, Vec<float> in, bool right) {
  const int i = static_cast<int>(threadIdx.x);
  out.store(i, in.load(right ? i : i + 1));
}

class Emulator : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(cuda_emulator::census().things(), 0U) << "something was not given back";
    cuda_emulator::recover();
  }
  using Kernel = void (*)(Vec<float>, Vec<float>, bool);
  /// Runs the kernel on 64 threads; the fault's text, empty if there is none.
  static std::string run(Kernel kernel, bool right) {
    {
      Session session(make_cuda_backend({.checking = true}));
      auto& stream = dynamic_cast<CudaStream&>(session.exec().stream);
      const Tensor in = session.upload<float>({64}, testing::numbers(1, 64));
      const Tensor out = session.backend().allocate(Dtype::f32, {64});
      launch(stream.handle(), {3}, {64}, kernel, vec<float>(out), vec<float>(in), right);
      try {
        stream.synchronize();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), errors::cuda_failed);
        EXPECT_EQ(error.fields().found.find("cudaErrorIllegalAddress"), 0U) << error.what();
      }
    }
    const std::string fault = cuda_emulator::fault_text();
    cuda_emulator::recover();
    return fault;
  }
  static void expect_caught(Kernel kernel, const std::string& text) {
    EXPECT_EQ(run(kernel, true), "");
    EXPECT_NE(run(kernel, false).find(text), std::string::npos) << run(kernel, false);
  }
};

TEST_F(Emulator, CatchesAMissingBarrierBetweenWriteAndRead) {
  expect_caught(&rotate_kernel, "a barrier missing?");
}
TEST_F(Emulator, CatchesAMissingBarrierBetweenReadAndWrite) {
  expect_caught(&reuse_kernel, "without a barrier");
}
TEST_F(Emulator, CatchesAMissingWarpBarrier) { expect_caught(&warp_kernel, "a barrier missing?"); }
TEST_F(Emulator, CatchesSharedMemoryThatNobodyWrote) {
  expect_caught(&unset_shared_kernel, "read before it was written");
}
TEST_F(Emulator, CatchesABarrierThatNotAllThreadsReach) {
  expect_caught(&divergent_barrier_kernel, "barrier");
}
TEST_F(Emulator, CatchesAShuffleThatNotAllLanesReach) {
  expect_caught(&divergent_shuffle_kernel, "lane");
}
TEST_F(Emulator, CatchesWarpsThatTakeDifferentWaysThroughBarriers) {
  expect_caught(&crossed_kernel, "barrier");
}
TEST_F(Emulator, CatchesAnIndexBehindTheTensor) { expect_caught(&index_kernel, "outside of 64"); }

TEST_F(Emulator, ARaceInGlobalMemoryShowsWhenTheOrderIsReversed) {
  const auto first_element = [](bool right, bool reversed) {
    cuda_emulator::reverse_order(reversed);
    Session session(make_cuda_backend({.checking = true}));
    auto& stream = dynamic_cast<CudaStream&>(session.exec().stream);
    const Tensor in = session.upload<float>({64}, testing::numbers(1, 64));
    const Tensor out = session.backend().allocate(Dtype::f32, {1});
    launch(stream.handle(), {1}, {64}, &racing_kernel, vec<float>(out), vec<float>(in), right);
    return read_back<float>(session.exec(), out).get();
  };
  EXPECT_EQ(first_element(true, false), first_element(true, true));
  EXPECT_NE(first_element(false, false), first_element(false, true));
  cuda_emulator::reverse_order(false);
}

// Four numbers at once, from wherever they begin.
__global__ void four_kernel(Vec<float> out, Vec<float> in) {
  if (threadIdx.x != 0) return;
  out.store(0, read(reinterpret_cast<const Pack<float, 4>*>(in.data)).at[3]);
}

TEST_F(Emulator, CatchesAWideAccessThatIsNotAligned) {
  {
    Session session(make_cuda_backend({}));
    const Tensor in = session.upload<float>({8}, {0, 1, 2, 3, 4, 5, 6, 7});
    const Tensor out = session.backend().allocate(Dtype::f32, {1});
    auto& stream = dynamic_cast<CudaStream&>(session.exec().stream);
    launch(stream.handle(), {1}, {32}, &four_kernel, vec<float>(out),
           vec<float>(in.slice(0, 4, 4)));
    EXPECT_EQ(read_back_all<float>(session.exec(), out).get(), std::vector<float>{7});
    launch(stream.handle(), {1}, {32}, &four_kernel, vec<float>(out),
           vec<float>(in.slice(0, 1, 4)));
    EXPECT_THROW(stream.synchronize(), Error);
  }
  EXPECT_NE(cuda_emulator::fault_text().find("misaligned"), std::string::npos)
      << cuda_emulator::fault_text();
}

TEST_F(Emulator, CatchesMemoryThatNobodyWrote) {
  {
    Session session(make_cuda_backend({.checking = true}));
    const Tensor unset = session.backend().allocate(Dtype::f32, {7});
    const Tensor out = session.backend().allocate(Dtype::f32, {7});
    add(session.exec(), out, unset, unset);
    EXPECT_THROW(session.exec().stream.synchronize(), Error);
  }
  EXPECT_NE(
      cuda_emulator::fault_text().find("16 bytes read at byte 0 of an allocation of 28 bytes"),
      std::string::npos)
      << cuda_emulator::fault_text();
}

TEST_F(Emulator, CatchesAPointerBehindAnAllocation) {
  {
    Session session(make_cuda_backend({.checking = true}));
    auto& stream = dynamic_cast<CudaStream&>(session.exec().stream);
    const Tensor in = session.upload<float>({64}, testing::numbers(1, 64));
    const Tensor out = session.backend().allocate(Dtype::f32, {63});
    // A view that claims more than there is.
    launch(stream.handle(), {1}, {64}, &index_kernel, Vec<float>{out.raw<float>(), 64},
           vec<float>(in), true);
    EXPECT_THROW(stream.synchronize(), Error);
  }
  EXPECT_NE(cuda_emulator::fault_text().find("0 bytes behind an allocation of 252 bytes"),
            std::string::npos)
      << cuda_emulator::fault_text();
}

TEST_F(Emulator, WithoutAnEventAnotherStreamsResultIsMissing) {
  for (const bool joined : {true, false}) {
    {
      Session session(make_cuda_backend({}));
      Exec& exec = session.exec();
      const auto other = session.backend().make_stream();
      Arena arena(session.backend(), *other);
      Exec side{session.backend(), *other, arena};
      const Tensor x = session.backend().allocate(Dtype::f32, {5});
      fill(exec, x, 2.0);
      if (joined) other->wait(exec.stream.record());
      add(side, x, x, x);
      if (joined) {
        EXPECT_EQ(read_back_all<float>(side, x).get(), std::vector<float>(5, 4.0F));
      } else {
        EXPECT_THROW(other->synchronize(), Error);
        EXPECT_NE(cuda_emulator::fault_text().find("not all of them ever written"),
                  std::string::npos)
            << cuda_emulator::fault_text();
      }
    }
    cuda_emulator::recover();
  }
}

TEST_F(Emulator, TheHostCannotTouchDeviceMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Session session(make_cuda_backend({}));
        const Tensor x = session.upload<float>({4}, {1, 2, 3, 4});
        session.exec().stream.synchronize();
        volatile float seen = x.raw<float>()[0];
        std::exit(static_cast<int>(seen));
      },
      ::testing::KilledBySignal(SIGSEGV), "");
}

}  // namespace
}  // namespace concordat::device::cuda
